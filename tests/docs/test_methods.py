"""What the code cites of docs/methods.md is on the page."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/methods.md").read_text("utf-8")
FOLDERS = ("pyg_advinfonce", "cli", "tests", "docs", "benchmarks", "examples")

SECTION = r"\d+(?:\.\d+)*[a-z]?\b"
PART = rf"(?:{SECTION}|[DGT]\d+\b|\[R\])"
CITATION = re.compile(rf"(docs/)?\bmethods\.md ({PART}(?:, (?:item \d+|{PART}))*)")

HEADING = re.compile(rf"^#+ ({SECTION}) .*\n", re.MULTILINE)
ANCHOR = re.compile(r'<a id="(\w+)"></a>')


def cited():
    """Return each citation's file, its folder ``docs/`` and what it cites."""
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    for folder in FOLDERS:
        files += (ROOT / folder).rglob("*")
    for file in files:
        if file.suffix not in (".py", ".toml", ".md", ".rst") or "_build" in file.parts:
            continue
        joined = re.sub(r"\n\s*(?:# )?", " ", file.read_text("utf-8"))
        for folder, place in CITATION.findall(joined):
            yield file.relative_to(ROOT).as_posix(), folder, place


def sections():
    """Return the text below each heading, by its number."""
    _, *parts = HEADING.split(PAGE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def has(place):
    """Tell whether the page has each part of a citation, ``3.6, item 3``."""
    first, *others = place.split(", ")
    for part in (first, *others):
        if part.startswith("item "):
            found = f"\n{part.removeprefix('item ')}. " in sections().get(first, "")
        else:
            found = part in sections() or part.strip("[]") in ANCHOR.findall(PAGE)
        if not found:
            return False
    return True


def test_what_is_cited_exists():
    found = list(cited())
    assert len(found) > 40
    assert [(file, place) for file, _, place in found if not has(place)] == []


def test_citations_name_the_page_from_the_root():
    assert [(file, place) for file, folder, place in cited() if not folder] == []


@pytest.mark.parametrize("place", ["9.9", "2.6z", "D99", "3.6, item 9", "10, G99"])
def test_other_places_do_not_exist(place):
    assert not has(place)


def test_a_section_and_an_anchor_occur_once():
    for names in (HEADING.findall(PAGE), ANCHOR.findall(PAGE)):
        assert len(names) == len(set(names))


def test_the_page_explains_every_decision():
    text = (ROOT / "docs/decisions.md").read_text("utf-8")
    numbers = re.findall(rf"^\| ({PART}) \|", text, re.MULTILINE)
    assert len(numbers) > 20
    assert [number for number in numbers if not has(number)] == []


def test_the_sections_of_decisions_exist():
    rows = re.findall(r'^\| <a id="D\d+">.*\| (.*) \|$', PAGE, re.MULTILINE)
    assert len(rows) == 17
    assert [place for place in rows if not has(place)] == []
