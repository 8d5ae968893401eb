"""The command line under ``torchrun``: one process's files, messages and results.

``ADVNCE_KILL_POINTS=20 pytest tests/test_launched.py`` kills a process at that many
moments.
"""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from pyg_advinfonce.runs import STATE
from pyg_advinfonce.training import read_tensors
from tests import processes

POINTS = int(os.environ.get("ADVNCE_KILL_POINTS", "1"))
LAUNCH = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
CLI = ("-m", "pyg_advinfonce.cli")
TRAIN = ("train", "lightgcn", "--loss", "adv", "--data", "simulated", "--save-every", 1)
SHORT = ("--epochs", 4, "--set", "model.dim=32", "--set", "train.eval_every=2")
LONG = ("--epochs", 40, "--set", "model.dim=32", "--set", "train.eval_every=2")


def start(*words):
    [process] = processes.start(1, *words)
    return process


def ran(*words):
    [(_, printed, said)] = processes.run(1, *words)
    return printed, said


def children(process):
    """Return the processes that a launcher has started."""
    file = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(child) for child in file.read_text().split()]


def metrics(folder):
    return json.loads((folder / "seed-0" / "metrics.json").read_text())["metrics"]


def names(folder):
    return {str(f.relative_to(folder)) for f in folder.rglob("*")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("launched")


@pytest.fixture(scope="module")
def short(folder):
    """The runs of one and of two processes, and what the latter printed."""
    ran(*CLI, *TRAIN, *SHORT, "--out", folder / "one")
    return ran(*LAUNCH, *CLI, *TRAIN, *SHORT, "--out", folder / "two")


def test_a_run_has_the_files_and_the_metrics_of_one_process(folder, short):
    printed, said = short
    assert names(folder / "two") == names(folder / "one")
    assert metrics(folder / "two") == pytest.approx(metrics(folder / "one"), abs=1e-6)
    assert printed.count("seeds       0") == 1
    assert said.count("data: simulated") == 1


def test_ranks_users_as_one_process(folder, short):
    run = folder / "two"
    for verb, flags in (
        ("evaluate", ("--lists-out",)),
        ("recommend", ("--users", "all", "--out")),
    ):
        texts = []
        for launch in ((), LAUNCH):
            file = folder / f"{verb}-{len(launch)}.csv"
            printed, _ = ran(*launch, *CLI, verb, run, *flags, file)
            texts.append((printed.replace(file.name, ""), file.read_bytes()))
        assert texts[0] == texts[1]
    assert not [*folder.glob("*.part-*")]


def test_other_verbs_refuse_a_launch(folder):
    process = start(*LAUNCH, *CLI, "ls", "models")
    _, said = process.communicate(timeout=processes.SECONDS)
    assert process.returncode != 0
    assert said.count("advnce ls runs in one process: start it without torchrun") == 1


@pytest.fixture(scope="module")
def long(folder):
    ran(*CLI, *TRAIN, *LONG, "--out", folder / "whole")
    return metrics(folder / "whole")


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's /proc")
@pytest.mark.parametrize("point", range(POINTS))
def test_a_killed_process_is_started_again(folder, long, point):
    out, draw = folder / f"killed-{point}", random.Random(point)
    process = start(*LAUNCH, "--max-restarts", 1, *CLI, *TRAIN, *LONG, "--out", out)
    try:
        while not (out / "seed-0" / STATE).is_file():
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(draw.random())
        if process.poll() is None and (pids := children(process)):
            os.kill(draw.choice(pids), signal.SIGKILL)
        _, said = process.communicate(timeout=processes.SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert metrics(out) == pytest.approx(long, abs=1e-6)
    lines = (out / "seed-0" / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(40))


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's /proc")
def test_a_signal_to_one_process_ends_all_and_saves_the_state(folder):
    out = folder / "stopped"
    process = start(*LAUNCH, *CLI, *TRAIN, "--epochs", 100_000, "--out", out)
    try:
        while not (out / "seed-0" / STATE).is_file():
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(children(process)[-1], signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode != 0
    assert said.count("advnce: interrupted") == 1
    assert "to resume: advnce train --resume" in said
    _, about = read_tensors(out / "seed-0" / STATE)
    lines = (out / "seed-0" / "history.jsonl").read_text().splitlines()
    assert len(about["history"]) == len(lines)
