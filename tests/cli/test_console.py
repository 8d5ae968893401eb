import sys
from types import SimpleNamespace

import pytest
from pyg_advinfonce.cli import console as progress

from pyg_advinfonce.training import Record

TRAINER = SimpleNamespace(
    monitor="valid/recall@20", stopping=SimpleNamespace(best_score=0.5, best_epoch=4)
)
EPOCHS = [Record(epoch=4), Record(epoch=5, metrics={"valid/recall@20": 0.25})]
TEXT = "valid/recall@20 0.2500, best 0.5000 in epoch 4"


def show(*, quiet=False):
    bar = progress.Progress(10, "seed 3", quiet=quiet)
    for record in EPOCHS:
        bar.on_epoch_end(TRAINER, record)
    bar.close()


@pytest.fixture
def _impatient(monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", -1.0)


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    show()
    out, err = capsys.readouterr()
    assert out == ""
    assert "\r" in err
    assert "seed 3" in err
    assert TEXT in err


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
