"""The worked example of data/README.md gives what it says."""

import re
import shlex
import sys
from pathlib import Path

import pytest
from pyg_advinfonce.cli.main import main

from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.datasets.splits.options import DEFAULTS

TEXT = (Path(__file__).parents[1] / "data" / "README.md").read_text("utf-8")


def block(language):
    [found] = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return found


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ratings.csv").write_text(block("csv"), "utf-8")
    return tmp_path


@pytest.mark.filterwarnings("ignore:train.batch_size is")
def test_the_commands_print_what_is_printed_here(folder, monkeypatch, capsys):
    parts = re.split(r"^\$ ", block("console"), flags=re.MULTILINE)[1:]
    outputs = []
    for part in parts:
        command, _, expected = part.partition("\n")
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        main()
        outputs.append(capsys.readouterr().out)
        if expected.strip():
            assert outputs[-1].strip() == expected.strip()
    assert len(outputs) == 2
    assert "test" in outputs[-1]


def test_in_memory_it_is_the_same_data(folder, monkeypatch, capsys):
    [command] = re.findall(r"^\$ (.*data split.*)$", block("console"), re.MULTILINE)
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    main()
    capsys.readouterr()
    options = {"item_col": "film", "positive_if": "stars >= 4", "split": "leave-last"}
    one, other = load_dataset("films"), load_dataset("ratings.csv", **options)
    assert one.fingerprint.split(":")[1] == other.fingerprint.split(":")[1]
    assert (
        one.graph["user"].raw_id == other.graph["user"].raw_id == ["ann", "bob", "cleo"]
    )


def test_every_split_is_named():
    assert all(f"`{name}`" in TEXT for name in DEFAULTS)
