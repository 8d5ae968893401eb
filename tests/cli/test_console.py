import sys

import pytest
from pyg_advinfonce.cli import console as progress

TEXT = "loss 1.7500, best 0.5000 in 4, patience 3/20"


def show(*, quiet=False):
    bar = progress.Bar(quiet=quiet)
    bar.start("seed 3", 10, unit="epoch")
    bar.advance(5)
    bar.advance(1, TEXT)
    bar.finish()
    bar.finish()


@pytest.fixture
def _impatient(monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", -1.0)
    monkeypatch.setattr(progress, "SECONDS_WITHIN", -1.0)


@pytest.fixture
def on_terminal(monkeypatch):
    """Make standard error a terminal of some width; call it within a test."""

    def make(columns=80):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        monkeypatch.setattr(progress, "_width", lambda: columns)
        monkeypatch.setattr(progress, "SECONDS_BETWEEN_FRAMES", -1.0)

    return make


def test_a_terminal_gets_a_bar(capsys, on_terminal):
    on_terminal()
    show()
    out, err = capsys.readouterr()
    assert out == ""
    assert "\r" in err
    assert "seed 3" in err
    assert TEXT in err


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("label", ["seed 0", "seed 1 (2 of 3)", "trial 12 of 50"])
def test_a_training_fits_in_one_line(capsys, on_terminal, columns, label):
    on_terminal(columns - 1)
    bar = progress.Bar()
    bar.start(label, 2000, unit="epoch")
    bar.advance(123, TEXT)
    capsys.readouterr()
    bar.within(0.45)
    line = capsys.readouterr().err.strip("\r").rstrip()
    bar.finish()
    assert len(line) < columns
    assert line.startswith(label)
    assert "123/2000 45%" in line
    assert TEXT in line
    assert ("00:00" in line) == (label != "seed 1 (2 of 3)" or columns == 120)
    assert ("|" in line) == (columns == 120)


def test_text_of_a_label_is_no_format(capsys, on_terminal):
    on_terminal()
    bar = progress.Bar()
    bar.start("{bar}", 2, unit="epoch")
    bar.within(0.5)
    bar.finish()
    assert "bar, epoch 0/2 50%" in capsys.readouterr().err


@pytest.mark.usefixtures("_impatient")
def test_a_file_gets_a_line_within_a_long_epoch(capsys):
    bar = progress.Bar()
    bar.start("seed 3", 10, unit="epoch")
    bar.within(0.5)
    bar.advance(1, "loss 1.0")
    bar.within(0.25)
    bar.finish()
    assert capsys.readouterr().err.splitlines() == [
        "seed 3, epoch 0, 50%",
        "seed 3, epoch 0: loss 1.0",
        "seed 3, epoch 1, 25%: loss 1.0",
    ]


@pytest.mark.usefixtures("_impatient")
def test_a_file_gets_plain_lines(capsys):
    show()
    assert capsys.readouterr() == ("", f"seed 3, epoch 5: {TEXT}\n")


def test_lines_are_seconds_apart(capsys):
    show()
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("_impatient")
def test_quiet_is_quiet_in_a_file(capsys):
    show(quiet=True)
    assert capsys.readouterr() == ("", "")


def test_quiet_is_quiet_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    show(quiet=True)
    assert capsys.readouterr() == ("", "")


def test_a_file_is_measured_in_bytes(capsys, monkeypatch):
    bar = progress.Bar()
    for size in (2048, None):
        bar.start("train.txt", size, unit="B")
        bar.advance(1024)
    bar.finish()
    assert capsys.readouterr() == ("", "train.txt, 2,048 bytes\ntrain.txt\n")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bar.start("train.txt", 2048, unit="B")
    bar.advance(1024)
    bar.finish()
    err = capsys.readouterr().err
    assert "1.02k/2.05k" in err
    assert err.endswith("\n")  # it stays on the screen


def test_a_part_begins_at_nought(capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", -1.0)
    bar = progress.Bar()
    for label in ("seed 0", "seed 1"):
        bar.start(label, 2, unit="epoch")
        bar.advance(1, "so far")
    assert capsys.readouterr().err == (
        "seed 0, epoch 0: so far\nseed 1, epoch 0: so far\n"
    )


def test_a_table_that_fits_stays():
    rows = [["trial", "lr"], ["0", "0.1"]]
    assert progress.fitted(rows) == ["trial   lr", "0      0.1"]


def test_a_wide_table_is_transposed_in_blocks():
    head = ["trial", *(f"setting_{i}" for i in range(9))]
    rows = [head, *([f"{i}", *["0.12345678"] * 9] for i in range(8))]
    found = progress.fitted(rows)
    assert max(map(len, found)) <= progress.WIDTH
    first, second = found[:10], found[11:]
    assert found[10] == ""
    assert [line.split()[0] for line in first] == head
    assert [line.split()[0] for line in second] == head
    assert first[0].split()[1:] + second[0].split()[1:] == [f"{i}" for i in range(8)]


def test_a_column_wider_than_a_terminal_is_kept():
    found = progress.fitted([["run", "mean"], ["x" * 99, "0.1"], ["y", "0.2"]])
    assert [line.split() for line in found] == [
        *(["run", "x" * 99], ["mean", "0.1"], []),
        *(["run", "y"], ["mean", "0.2"]),
    ]


def test_a_long_text_is_wrapped_on_a_terminal_alone(capsys, monkeypatch):
    text = " ".join(["word"] * 30)
    assert progress.on_screen(text, indent=12) == text
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    first, second, third = progress.on_screen(text, indent=12).splitlines()
    assert max(map(len, (first, second, third))) <= 80
    assert second.startswith(" " * 12 + "word")


def test_a_message_is_wrapped_on_a_terminal_alone(capsys, on_terminal):
    text = " ".join(["word"] * 30)
    progress.Bar().say(text)
    assert capsys.readouterr().err == f"{text}\n"
    on_terminal(79)
    progress.Bar().say(text)
    lines = capsys.readouterr().err.splitlines()
    assert max(map(len, lines)) < 80
    assert lines[1].startswith("  word")
