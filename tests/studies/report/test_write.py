import sys

import pytest

from pyg_advinfonce.errors import ConfigError, MissingExtraError
from pyg_advinfonce.runs import read_run
from pyg_advinfonce.studies.report import write_report
from tests.studies.report.page import Page

pytestmark = pytest.mark.filterwarnings("ignore:omitted")  # runs without weights

NAMES = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "$\\frac{1}{$ \\input{x} %_^~",
    "=HYPERLINK(1)",
    "{{ 7 * 7 }}{% raw %}",
    "</svg></style><b>",
]


def page_of(folder, tmp_path, **options):
    path = write_report(folder, tmp_path / "page.html", root=tmp_path, **options)
    return Page(path.read_text("utf-8"))


@pytest.fixture(params=["run", "study"])
def folder(request):
    """A run, or a study."""
    return request.getfixturevalue(request.param)


def test_a_page_stands_alone(folder, tmp_path):
    page = page_of(folder, tmp_path)
    assert page.loads
    assert all(target.startswith("#") for target in page.loads)
    assert not {"script", "link", "iframe", "img", "object"} & set(page.tags)
    assert page.handlers == []
    assert "@import" not in page.text


def test_a_page_is_well_formed(folder, tmp_path):
    page = page_of(folder, tmp_path)
    assert (page.unmatched, page.open) == ([], [])
    assert len(set(page.ids)) == len(page.ids)
    assert {target.removeprefix("#") for target in page.loads} <= set(page.ids)
    assert page.tags.count("svg") >= 2


def test_a_page_is_the_same_each_time(folder, tmp_path):
    texts = [
        write_report(folder, tmp_path / name, root=tmp_path).read_text("utf-8")
        for name in ("one.html", "two.html")
    ]
    assert texts[0] == texts[1]


def check_escaped(page, name):
    assert not {"script", "img", "b"} & set(page.tags) - {"b"}
    assert page.handlers == []
    assert (page.unmatched, page.open) == ([], [])
    assert " ".join(name.split()) in page.text


@pytest.mark.parametrize("name", NAMES)
def test_a_runs_strange_names_are_text(tmp_path, write_seed, name):
    versions = {name: name}
    seed = write_seed(
        tmp_path / "seed-0", dataset=name, data=name, device=name, versions=versions
    )
    check_escaped(page_of(seed, tmp_path), name)


@pytest.mark.parametrize("name", NAMES)
def test_a_studys_strange_names_are_text(tmp_path, write_study, name):
    cell = '"' + name.replace('"', '""') + '"'
    rows = [
        f"0,complete,0.3,True,4,9,1,{cell},",
        "1,complete,0.4,False,4,9,1,x,",
        f"2,failed,,False,,,1,y,{cell}",
    ]
    key = '"loss.' + name.replace('"', '""') + '"'
    study = write_study(rows, key=key, data=name, fingerprint=name)
    check_escaped(page_of(study, tmp_path), name)


def test_a_report_is_in_its_folder_and_is_replaced(run, tmp_path):
    path = write_report(run, root=tmp_path)
    assert path == run / "report.html"
    path.write_text(path.read_text("utf-8")[:900], "utf-8")
    old = tmp_path / "old.html"
    old.hardlink_to(path)
    assert write_report(run, root=tmp_path).stat().st_size > 10_000
    assert old.stat().st_size <= 900  # who reads it meanwhile has a whole file


def test_what_is_no_report_is_left_alone(run, tmp_path):
    thesis = tmp_path / "thesis.html"
    thesis.write_text("<html>mine", "utf-8")
    with pytest.raises(ConfigError, match="is not a report of advnce"):
        write_report(run, thesis, root=tmp_path)
    assert thesis.read_text("utf-8") == "<html>mine"
    with pytest.raises(ConfigError, match="is a folder: name a file with --out"):
        write_report(run, tmp_path, root=tmp_path)


def test_a_place_that_cannot_be_written(run, tmp_path):
    with pytest.raises(ConfigError, match="cannot write"):
        write_report(run, tmp_path / "run/seed-0/config.toml/x.html", root=tmp_path)


def test_without_matplotlib_the_extra_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pyg-advinfonce\[plot\]"):
        write_report(run)


def test_a_run_of_another_loss_has_no_adversary(run, tmp_path, write_seed):
    columns = {"valid/recall@20": 0.01, "align": 0.1, "uniform": -0.1}
    seed = write_seed(tmp_path / "seed-7", columns=columns)
    text = page_of(seed, tmp_path).text
    assert "Distance from uniform" not in text
    assert "Hardness by popularity" not in text
    assert "Validation Recall@20" in text
    assert len(read_run(seed)) == 1
