"""The bar of a training, in Python and on the command line."""

import io
import sys
import threading
from types import SimpleNamespace

import pytest

from pyg_advinfonce import Config, load_dataset, progress, train
from pyg_advinfonce.progress import Progress, ProgressBar, listener

TEXT = "loss 1.7500, best 0.5000 in 4, patience 3/20"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def shown(monkeypatch):
    """A function that trains and returns what is printed to a kind of stream."""

    def run(stream, **keys):
        monkeypatch.setattr(sys, "stderr", stream)  # pytest sets it after a fixture
        config = Config.resolve("mf", "bpr", layers=[{"train": {"epochs": 2}}])
        train(config, load_dataset("simulated"), device="cpu", **keys)
        return stream.getvalue()

    return run


@pytest.fixture
def _in_notebook(monkeypatch):
    shell = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", shell)


def test_a_bar_starts_no_thread(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    before = set(threading.enumerate())
    bar = ProgressBar()
    bar.start("seed 0", 2, unit="epoch")
    assert set(threading.enumerate()) == before
    bar.finish()


def test_training_shows_a_bar_on_a_terminal(shown):
    text = shown(Terminal())
    assert "seed 0, epoch 2/2, loss" in text
    assert "best " in text
    assert "patience 0/20" in text


def test_the_bar_is_turned_off(shown):
    assert shown(Terminal(), progress=False) == ""


def test_nothing_is_shown_in_a_file(shown):
    assert shown(io.StringIO()) == ""


@pytest.mark.usefixtures("_in_notebook")
def test_a_kernel_is_watched(monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    ProgressBar().say("hello")
    assert file.getvalue() == "hello\n"


def test_a_listener_is_kept():
    own = Progress()
    assert listener(own) is own
    assert type(listener(False)) is Progress
    assert type(listener(True)) is ProgressBar


def show(*, quiet=False):
    bar = listener(not quiet, lines=True)
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


@pytest.mark.parametrize("lines", [False, True])
def test_a_bar_stays_unless_a_line_follows(capsys, on_terminal, lines):
    on_terminal(119)
    bar = ProgressBar(lines=lines)
    bar.start("seed 3", 10, unit="epoch")
    bar.advance(6, TEXT)
    bar.within(0.5)
    capsys.readouterr()
    bar.finish()
    left = capsys.readouterr().err.rpartition("\r")[2].rstrip()
    assert left.startswith("seed 3, epoch 6/10 |") != lines
    assert left.endswith(TEXT) != lines


@pytest.mark.usefixtures("_in_notebook")
def test_a_notebook_gets_a_bar_of_any_width(capsys):
    bar = ProgressBar()
    bar.start("seed 3" * 20, 10, unit="epoch")
    bar.advance(6, TEXT)
    bar.finish()
    line = capsys.readouterr().err
    assert "6/10 |" in line
    assert TEXT in line


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("label", ["seed 0", "seed 1 (2 of 3)", "trial 12 of 50"])
def test_a_training_fits_in_one_line(capsys, on_terminal, columns, label):
    on_terminal(columns - 1)
    bar = ProgressBar(lines=True)
    bar.start(label, 2000, unit="epoch")
    bar.advance(123, TEXT)
    capsys.readouterr()
    bar.within(0.45)
    line = capsys.readouterr().err.strip("\r").rstrip()
    bar.finish()
    assert len(line) < columns
    assert line.startswith(label)
    assert "123.4/2000" in line
    assert TEXT in line
    assert "00:00" in line
    assert ("|" in line) == (columns == 120)


def test_text_of_a_label_is_no_format(capsys, on_terminal):
    on_terminal()
    bar = ProgressBar(lines=True)
    bar.start("{bar}", 2, unit="epoch")
    bar.within(0.5)
    bar.finish()
    assert "bar, epoch 0.5/2" in capsys.readouterr().err


@pytest.mark.usefixtures("_impatient")
def test_a_file_gets_a_line_within_a_long_epoch(capsys):
    bar = ProgressBar(lines=True)
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
    bar = ProgressBar(lines=True)
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
    bar = ProgressBar(lines=True)
    for label in ("seed 0", "seed 1"):
        bar.start(label, 2, unit="epoch")
        bar.advance(1, "so far")
    assert capsys.readouterr().err == (
        "seed 0, epoch 0: so far\nseed 1, epoch 0: so far\n"
    )


def test_a_message_is_wrapped_on_a_terminal_alone(capsys, on_terminal):
    text = " ".join(["word"] * 30)
    ProgressBar(lines=True).say(text)
    assert capsys.readouterr().err == f"{text}\n"
    on_terminal(79)
    ProgressBar(lines=True).say(text)
    lines = capsys.readouterr().err.splitlines()
    assert max(map(len, lines)) < 80
    assert lines[1].startswith("  word")
