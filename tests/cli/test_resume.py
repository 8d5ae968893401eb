import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.experiment import train
from pyg_advinfonce.runs import STATE, run_lock
from pyg_advinfonce.training import EpochProgress

COMMAND = [sys.executable, "-m", "pyg_advinfonce.cli.main"]
TRAIN = ["train", "mf", "--epochs", "8", "--set", "model.dim=4"]
TRAIN += ["--set", "train.eval_every=2", "--set", "loss.adversary_every=2"]


@pytest.fixture
def stop_at(monkeypatch):
    """Let Ctrl-C come at an epoch's end, once, so many epochs from now."""
    seen, on_epoch_end = [], EpochProgress.on_epoch_end

    def interrupt_after(number):
        seen.clear()

        def interrupted(self, trainer, record):
            seen.append(record.epoch)
            if len(seen) == number:
                raise KeyboardInterrupt
            on_epoch_end(self, trainer, record)

        monkeypatch.setattr(EpochProgress, "on_epoch_end", interrupted)

    return interrupt_after


def metrics(found):
    assert found.code == 0, found.err
    summary = json.loads(found.out)
    return {k: summary[k] for k in ("metrics", "best_epoch", "epochs", "seeds")}


def test_a_run_of_several_seeds_goes_on(advnce, stop_at):
    whole = metrics(advnce(*TRAIN, "--seeds", "0-2", "--out", "whole", "--json"))
    stop_at(12)  # in the second seed
    found = advnce(*TRAIN, "--seeds", "0-2", "--out", "run", "--quiet")
    assert (found.code, found.out) == (130, "")
    assert found.err.splitlines() == [
        "to resume: advnce train --resume run",
        "advnce: interrupted",
    ]
    stop_at(0)
    found = advnce("train", "--resume", "run", "--json")
    assert metrics(found) == whole
    assert "seed 0 (1 of 3): finished already, valid/recall@20 0." in found.err
    assert "seed 1 (2 of 3): finished already" not in found.err
    assert "seed 1 (2 of 3): resumed after epoch 2\n" in found.err


def test_a_seed_s_folder_stands_for_the_run(advnce, stop_at):
    stop_at(3)
    advnce(*TRAIN, "--out", "run")
    found = advnce("train", "--resume", "run/seed-0", "--json")
    assert metrics(found)["epochs"] == [8]


def test_a_finished_run_is_shown_again(advnce):
    first = advnce(*TRAIN, "--out", "run", "--json")
    assert metrics(advnce("train", "--resume", "run", "--json")) == metrics(first)


def test_the_same_words_may_be_repeated(advnce, stop_at):
    stop_at(3)
    advnce(*TRAIN, "--out", "run")
    assert advnce(*TRAIN, "--resume", "run", "--json").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "train.lr=0.5"], "train.lr 0.001 -> 0.5): train another run"),
        (["--loss", "bpr"], "loss.name adv -> bpr): train another run"),
        (["lightgcn"], "model.name mf -> lightgcn): train another run"),
        (["--data", "coat"], "data.name simulated -> coat): train another run"),
        (["--epochs", "9"], "train.epochs 8 -> 9): add --force"),
    ],
)
def test_other_settings_are_another_run(advnce, words, said):
    advnce(*TRAIN, "--out", "run")
    found = advnce("train", *words, "--resume", "run")
    assert (found.code, found.line) == (2, f"the run has other settings ({said}")


def test_a_finished_run_may_be_trained_longer(advnce):
    longer = [*TRAIN, "--epochs", 12]
    whole = metrics(advnce(*longer, "--out", "whole", "--json"))
    advnce(*TRAIN, "--out", "run")
    words = ["train", "--resume", "run", "--epochs", 12, "--json"]
    assert metrics(advnce(*words, "--force")) == whole
    assert metrics(advnce("train", "--resume", "run", "--json")) == whole


def test_seeds_of_different_lengths_are_no_run(advnce, stop_at):
    advnce(*TRAIN, "--seeds", "0-1", "--out", "run")
    stop_at(2)
    longer = ["train", "--resume", "run", "--epochs", 12, "--force"]
    assert advnce(*longer).code == 130
    stop_at(0)
    found = advnce("train", "--resume", "run")
    assert found.code == 2
    assert "the seeds differ in their settings (train.epochs 12 and 8" in found.line
    assert metrics(advnce(*longer, "--json"))["epochs"] == [12, 12]


def test_the_device_is_part_of_how_to_go_on(advnce, stop_at):
    stop_at(3)
    found = advnce(*TRAIN, "--out", "run", "--device", "cpu", "--quiet")
    assert "to resume: advnce train --resume run --device cpu\n" in found.err


def test_force_is_for_resuming(advnce):
    found = advnce(*TRAIN, "--force")
    assert (found.code, found.line) == (2, "--force has no effect without --resume")


def test_other_data_is_another_run(advnce, folder):
    table = folder / "likes.csv"
    rows = [f"{u},{i}" for u in range(8) for i in range(9) if (u * i) % 4 < 3]
    table.write_text("\n".join(["user,item", *rows]))
    words = [*TRAIN, "--data", table, "--set", "train.batch_size=4"]
    assert advnce(*words, "--out", "run").code == 0
    table.write_text("\n".join(["user,item", *rows[1:]]))
    found = advnce("train", "--resume", "run", "--quiet")
    assert found.code == 2
    assert found.line.startswith("run/seed-0 was trained on other data: ")


@pytest.mark.parametrize(
    "words",
    [
        *(
            ["--seed", 1],
            ["--seed", 0],
            ["--seeds", "0-1"],
            ["--out", "x"],
            ["--overwrite"],
        ),
        ["--preset", "repro"],
    ],
)
def test_what_makes_a_new_run_does_not_go_with_it(advnce, words):
    found = advnce("train", "--resume", "run", *words)
    assert found.code == 2
    assert f"{words[0]} cannot be combined with --resume" in found.line


def test_a_folder_without_a_run(advnce, folder):
    folder.joinpath("empty").mkdir()
    found = advnce("train", "--resume", "empty")
    assert (found.code, found.line) == (
        *(2, "empty holds no run to resume: it has no config.toml"),
    )


def test_without_a_model_there_is_nothing_to_train(advnce):
    found = advnce("train")
    assert found.code == 2
    assert "expected a model, or a run with --resume" in found.line


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_signal_saves_the_last_finished_epoch(folder, interruptible, number, code):
    words = [*COMMAND, *TRAIN, "--epochs", "99999", "--out", "run"]
    words += ["--set", "train.patience=99999"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        history = folder / "run" / "seed-0" / "history.jsonl"
        while not history.is_file() or len(history.read_bytes()) < 1000:
            assert process.poll() is None
        process.send_signal(number)
        _, said = process.communicate()
    assert process.returncode == code
    assert said.splitlines()[-2:] == [
        "to resume: advnce train --resume run",
        "advnce: interrupted",
    ]
    assert (folder / "run" / "seed-0" / STATE).is_file()


def test_a_run_that_another_process_trains(advnce):
    """The lock is per open file, so another lock of this process will do."""
    advnce(*TRAIN, "--out", "run")
    with run_lock(Path("run")):
        found = advnce("train", "--resume", "run")
    said = "another process is training run: wait until it ends, or delete run/.lock "
    assert (found.code, found.line) == (2, f"{said}if no such process exists")


def test_a_seed_that_python_wrote_is_resumed_there(advnce, folder):
    config = Config.resolve("mf", "bpr", layers=[{"train": {"epochs": 2}}])
    train(config, load_dataset("simulated"), out="mine")
    found = advnce("train", "--resume", "mine")
    assert found.code == 2
    assert found.line.startswith("mine was written by train() in Python: resume")
