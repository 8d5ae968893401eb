import sys

import pytest
from pyg_advinfonce.cli import console


@pytest.fixture(autouse=True)
def _columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def test_a_table_that_fits_stays():
    rows = [["trial", "lr"], ["0", "0.1"]]
    assert console.fitted(rows) == ["trial   lr", "0      0.1"]


def test_a_wide_terminal_gets_wide_lines(monkeypatch):
    rows = [["trial", *(f"setting_{i}" for i in range(9))], ["0", *"123456789"]]
    assert len(console.fitted(rows)) == 10
    text = " ".join(["word"] * 60)
    assert max(map(len, console.wrapped(text, indent=0).splitlines())) == 79
    monkeypatch.setenv("COLUMNS", "120")
    assert len(console.fitted(rows)) == 2
    assert max(map(len, console.wrapped(text, indent=0).splitlines())) == 99


def test_a_wide_table_is_transposed_in_blocks():
    head = ["trial", *(f"setting_{i}" for i in range(9))]
    rows = [head, *([f"{i}", *["0.12345678"] * 9] for i in range(8))]
    found = console.fitted(rows)
    assert max(map(len, found)) <= 80
    first, second = found[:10], found[11:]
    assert found[10] == ""
    assert [line.split()[0] for line in first] == head
    assert [line.split()[0] for line in second] == head
    assert first[0].split()[1:] + second[0].split()[1:] == [f"{i}" for i in range(8)]


def test_a_column_wider_than_a_terminal_is_kept():
    found = console.fitted([["run", "mean"], ["x" * 99, "0.1"], ["y", "0.2"]])
    assert [line.split() for line in found] == [
        *(["run", "x" * 99], ["mean", "0.1"], []),
        *(["run", "y"], ["mean", "0.2"]),
    ]


def test_a_long_text_is_wrapped_on_a_terminal_alone(capsys, monkeypatch):
    text = " ".join(["word"] * 30)
    assert console.on_screen(text, indent=12) == text
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    first, second, third = console.on_screen(text, indent=12).splitlines()
    assert max(map(len, (first, second, third))) <= 80
    assert second.startswith(" " * 12 + "word")
