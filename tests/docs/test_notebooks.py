"""The notebooks run, and what they show is what they print."""

import re
from pathlib import Path

import pytest

pytest.importorskip("nbclient", reason="nbclient is not installed (extra [test])")
pytest.importorskip("ipykernel", reason="ipykernel is not installed (extra [test])")

import nbformat

from tests.notebooks import NOTEBOOKS, executed

pytestmark = pytest.mark.slow


def shown(notebook):
    """Return what every cell shows, numbers apart, which differ between machines."""
    texts = [
        [out.get("text", "") + str(out.get("data", {}).get("text/plain", "")), {*kinds}]
        for cell in notebook.cells
        for out in cell.get("outputs", [])
        for kinds in [out.get("data", {})]
    ]
    return [[re.sub(r"[\d.]+(e-\d+)?|\s+", " ", text), kinds] for text, kinds in texts]


@pytest.mark.filterwarnings("ignore")  # of what runs the notebooks
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_what_it_prints(path, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the command line sets it
    kept = nbformat.read(path, as_version=4)
    assert shown(executed(path, tmp_path)) == shown(kept), (
        "write the outputs again: python -m tests.notebooks"
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_has_no_times(path):
    assert path.stat().st_size < 100_000
    notebook = nbformat.read(path, as_version=4)
    assert set(notebook.metadata) == {"kernelspec"}
    assert all(not cell.metadata for cell in notebook.cells)


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["adv_infonce", "quick_start"]
    assert all(path.is_relative_to(Path(__file__).parents[2]) for path in NOTEBOOKS)
