"""How the pages look in a browser, where there is one."""

import shutil

import pytest

from pyg_advinfonce.studies.report import write_report
from tests.studies.report.browser import Browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:omitted"),  # these runs have no weights
]

WIDTHS = [360, 1280]
LONG = "a-very-long-name-without-a-blank-" * 8


@pytest.fixture(scope="module")
def browser():
    driver = shutil.which("chromedriver")
    if driver is None or shutil.which("chromium") is None:
        pytest.skip("Chromium and its driver are not installed")
    found = Browser(driver)
    yield found
    found.close()


@pytest.fixture(params=["run", "study", "long run", "long study"])
def page(request, tmp_path, write_seed, write_study):
    """A page with ordinary names, or with names that do not fit."""
    if request.param == "long run":
        folder = write_seed(tmp_path / "seed-0", dataset=LONG, data=LONG, device=LONG)
    elif request.param == "long study":
        rows = [f"{n},complete,0.{n},True,4,9,1,{n},{LONG}" for n in range(1, 9)]
        folder = write_study(rows, key=f"loss.{LONG}", data=LONG, fingerprint=LONG)
    else:
        folder = request.getfixturevalue(request.param)
    return write_report(folder, tmp_path / "page.html", root=tmp_path)


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out(browser, page, width):
    browser.open(page, width, "light")
    assert browser.ask("document.documentElement.scrollWidth") <= width
    outside = """[...document.querySelectorAll("svg text")].filter(text => {
        const [a, b] = [text, text.closest("figure")].map(
            e => e.getBoundingClientRect());
        return a.left < b.left - 1 || a.right > b.right + 1;
    }).map(text => text.textContent)"""
    if LONG not in page.read_text("utf-8"):
        assert browser.ask(outside) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_text_in_charts_can_be_read(browser, page, width):
    browser.open(page, width, "light")
    heights = """[...document.querySelectorAll("svg text")].map(
        text => text.getBoundingClientRect().height)"""
    assert min(browser.ask(heights)) >= 8


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_ink_and_paper_follow_the_readers_scheme(browser, page, scheme, is_dark):
    browser.open(page, 1280, scheme)
    color = "getComputedStyle(document.querySelector({0})).{1}"
    paper = browser.ask(color.format("'body'", "backgroundColor"))
    for ink in ("'h1'", "'td, dd'", "'svg text'"):
        name = "fill" if "svg" in ink else "color"
        text = browser.ask(color.format(ink, name))
        assert (luminance(text) > luminance(paper)) is is_dark
        assert contrast(text, paper) >= 7


def luminance(color):
    parts = [float(x) / 255 for x in color.partition("(")[2].rstrip(")").split(",")[:3]]
    linear = [
        x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts
    ]
    return sum(w * x for w, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_nothing_is_fetched(browser, page):
    browser.open(page, 1280, "light")
    assert browser.ask("performance.getEntriesByType('resource').length") == 0
    assert browser.screenshot(1280).startswith(b"\x89PNG")
