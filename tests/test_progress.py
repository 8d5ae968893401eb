"""The bar of a training in Python."""

import io
import sys
from types import SimpleNamespace

import pytest

from pyg_advinfonce import Config, load_dataset, train
from pyg_advinfonce.progress import Progress, ProgressBar, listener


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


def test_training_shows_a_bar_on_a_terminal(shown):
    text = shown(Terminal())
    assert "seed 0: 100%" in text
    assert "2/2" in text
    assert "best " in text
    assert "patience 0/20" in text


def test_the_bar_is_turned_off(shown):
    assert shown(Terminal(), progress=False) == ""


def test_nothing_is_shown_in_a_file(shown):
    assert shown(io.StringIO()) == ""


def test_a_kernel_is_watched(monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    shell = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", shell)
    ProgressBar().say("hello")
    assert file.getvalue() == "hello\n"


def test_a_listener_is_kept():
    own = Progress()
    assert listener(own) is own
    assert type(listener(False)) is Progress
    assert type(listener(True)) is ProgressBar
