import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyg_advinfonce.cli.main import main


@dataclass(frozen=True)
class Outcome:
    """What a command has said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def line(self):
        """The one line of an expected error, without the command's name."""
        assert self.out == ""
        (line,) = self.err.splitlines()
        assert line.startswith("advnce: ")
        return line.removeprefix("advnce: ")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder; the cache and the data are elsewhere."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("ADVNCE_DATA", raising=False)
    working = tmp_path / "here"
    working.mkdir()
    monkeypatch.chdir(working)
    return working


@pytest.fixture
def advnce(folder, monkeypatch, capsys):
    """Run the command line in this process."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["advnce", *map(str, words)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def interruptible():
    """Let processes heed Ctrl-C also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def real_data():
    """The folder of real data for tests."""
    found = os.environ.get("ADVNCE_TEST_DATA")
    if not found:
        pytest.skip("ADVNCE_TEST_DATA names no folder of real data")
    return Path(found)


@pytest.fixture
def split_folder(tmp_path):
    """Write a small data set of one's own and return its folder."""

    def write(name="my data"):
        path = tmp_path / name
        path.mkdir()
        path.joinpath("train.txt").write_text("0 0 1\n1 1 2\n2 3 0\n3 4\n", "utf-8")
        path.joinpath("valid.txt").write_text("0 2\n1 0\n", "utf-8")
        path.joinpath("test.txt").write_text("0 3\n2 4\n", "utf-8")
        return path

    return write
