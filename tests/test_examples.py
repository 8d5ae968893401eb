"""Every example runs as it stands, and its loss falls."""

import re
import runpy
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests import processes

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def marks(text):
    """Return what a test of an example depends on."""
    if "LinkNeighborLoader" in text:
        yield pytest.mark.pyg_lib
    if "import lightning" in text:
        there = find_spec("lightning") is not None
        yield pytest.mark.skipif(not there, reason="lightning is not installed")
        yield pytest.mark.filterwarnings("ignore")  # its own advice


def rows():
    for file in EXAMPLES:
        yield pytest.param(file, id=file.stem, marks=[*marks(file.read_text("utf-8"))])


@pytest.mark.parametrize("file", [*rows()])
def test_the_loss_falls(file, capsys):
    if "init_process_group" in file.read_text("utf-8"):
        (_, printed, _), *_ = processes.run(2, file)
    else:
        runpy.run_path(str(file), run_name="__main__")
        printed = capsys.readouterr().out
    losses = re.findall(r"^epoch \d+: loss ([\d.]+)$", printed, re.M)
    assert len(losses) > 4
    assert float(losses[-1]) < 0.95 * float(losses[0])


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_is_short_and_says_what_it_needs(file):
    text = file.read_text("utf-8")
    docstring = text.split('"""')[1]
    assert len(text.splitlines()) <= 100
    assert ("neighbour sampler" in docstring) is ("LinkNeighborLoader" in text)
    assert ("pip install lightning" in docstring) is ("import lightning" in text)


def test_there_are_examples():
    assert len(EXAMPLES) > 5
