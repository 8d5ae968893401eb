"""A training that is killed at any moment goes on to the same end.

``ADVNCE_KILL_POINTS=50 pytest tests/test_killed.py`` tries that many moments.
"""

import json
import multiprocessing
import os
import random
import signal
import time

import pytest

from pyg_advinfonce import files as whole_file
from pyg_advinfonce.config import Config
from pyg_advinfonce.experiment import train
from pyg_advinfonce.runs import STATE
from pyg_advinfonce.training import read_tensors
from tests.cases import toy_graph

POINTS = int(os.environ.get("ADVNCE_KILL_POINTS", "4"))
SETTINGS = {
    "model": {"dim": 4},
    "loss": {"adversary_every": 3, "adversary_first": 1, "adversary_epochs": 5},
    "train": {"batch_size": 4, "epochs": 12, "eval_every": 2, "num_negatives": 3},
}


class Toy:
    """The toy graph as a data set."""

    fingerprint = "toy"

    def __init__(self):
        self.graph = toy_graph()


def run(folder, kill_in_write=None):
    """Train in a folder what is left to train, in a process of its own."""
    if kill_in_write is not None:
        _kill_in_write(kill_in_write)
    config = Config.resolve("lightgcn", "adv", "toy", layers=[SETTINGS])
    train(config, Toy(), device="cpu", out=folder, resume=True, save_every=1)


def _kill_in_write(number):
    """Die in the middle of the ``number``-th file that is to replace another."""
    seen, fsync = [], os.fsync

    def dying(descriptor):
        seen.append(descriptor)
        if len(seen) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(descriptor)

    whole_file.os.fsync = dying


@pytest.fixture(scope="module")
def start():
    """Start a training in a new process, which has all modules at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pyg_advinfonce.experiment", "tests.cases"])

    def begin(*args):
        process = context.Process(target=run, args=args)
        process.start()
        return process

    return begin


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
    """What the training ends with that nobody kills, and how long it takes."""
    end(start(tmp_path_factory.mktemp("first")))  # loads all modules
    folder, started = tmp_path_factory.mktemp("whole"), time.monotonic()
    end(start(folder))
    return outcome(folder), time.monotonic() - started


def end(process):
    process.join(60)
    assert process.exitcode == 0


def outcome(folder):
    """Return metrics, weights' hash and history of a finished training."""
    summary = json.loads((folder / "metrics.json").read_text())
    lines = (folder / "history.jsonl").read_text().splitlines()
    history = [{**json.loads(line), "seconds": 0} for line in lines]
    weights, _ = read_tensors(folder / "weights.safetensors")
    values = {name: value.tolist() for name, value in weights.items()}
    return summary["metrics"], summary["best_epoch"], values, history


@pytest.mark.parametrize("point", range(POINTS))
def test_a_killed_training_goes_on_to_the_same_end(start, whole, tmp_path, point):
    expected, seconds = whole
    process = start(tmp_path)
    time.sleep(random.Random(point).uniform(0, seconds))
    process.kill()
    process.join()
    end(start(tmp_path))
    assert outcome(tmp_path) == expected


@pytest.mark.parametrize("number", [1, 2, 3, 4, 9, 14, 15, 16, 17])
def test_a_training_that_is_killed_while_it_writes(start, whole, tmp_path, number):
    process = start(tmp_path, number)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / STATE).exists() or read_tensors(tmp_path / STATE)
    end(start(tmp_path))
    assert outcome(tmp_path) == whole[0]
