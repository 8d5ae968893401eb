import csv
import json
import math
import os
import re
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing
from functools import wraps
from itertools import chain, repeat
from types import SimpleNamespace

import optuna
import pytest
import torch
from optuna.pruners import NopPruner
from optuna.trial import TrialState

from pyg_advinfonce.build import assemble
from pyg_advinfonce.config import Config, read_toml
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.errors import CheckpointError, ConfigError, NonFiniteLossError
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.experiment import train
from pyg_advinfonce.graph import INTERACTS
from pyg_advinfonce.methods import lightgcn as mf
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.runs import STUDY
from pyg_advinfonce.studies.tuning import trial as running
from pyg_advinfonce.studies.tuning import tune
from pyg_advinfonce.training import Trainer


@pytest.fixture
def study(dataset, configure, tmp_path):
    """Run or continue a study on the toy graph."""

    def run(config=None, **options):
        options = {"folder": tmp_path / "study", "device": "cpu"} | options
        return tune(config or configure(), dataset, **options)

    return run


def stored(folder):
    """Return the trials that a study's file holds."""
    storage = f"sqlite:///{folder / STUDY}"
    return optuna.load_study(study_name="study", storage=storage).trials


def rows(folder):
    with (folder / "trials.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_default_configuration_comes_first(study, dataset, configure, tmp_path):
    summary = study(trials=2)
    alone = train(configure(), dataset, device="cpu")
    assert summary["default_value"] == alone.metrics["valid/recall@20"]
    first, second = rows(tmp_path / "study")
    assert (first["default"], second["default"]) == ("True", "False")
    assert float(first["value"]) == summary["default_value"]
    assert (first["train.lr"], first["loss.tau"]) == ("0.0003", "0.2")
    assert int(first["train.num_negatives"]) == 3  # which is outside the space
    assert int(second["train.num_negatives"]) >= 64


def test_what_a_study_leaves_behind(study, tmp_path):
    summary = study(trials=3)
    folder = tmp_path / "study"
    assert json.loads((folder / "summary.json").read_text("utf-8")) == summary
    names = [summary[key] for key in ("model", "loss", "data", "fingerprint")]
    assert names == ["mf", "infonce", "toy", "toy"]
    assert (summary["epochs"], summary["seed"]) == (2, 0)
    assert summary["trials"]["finished"] == sum(
        summary["trials"][state] for state in ("complete", "pruned", "failed")
    )
    assert summary["best"] == summary["top"][0]
    values = [row["value"] for row in summary["top"]]
    assert values == sorted(values, reverse=True)
    assert len(rows(folder)) == 3
    assert summary["versions"]["optuna"] == optuna.__version__
    assert {file.name for file in folder.iterdir()} == {
        *(".lock", STUDY, "best.toml", "trials.csv", "summary.json"),
    }


def test_the_best_settings_train_again(study, dataset, configure, tmp_path):
    summary = study(trials=3, fixed={"model.dim", "train.epochs", "train.eval_every"})
    layer = read_toml(tmp_path / "study" / "best.toml")
    assert layer["model"]["dim"] == 4
    assert set(layer["train"]) == {
        *("eval_every", "lr", "batch_size", "num_negatives"),
    }
    epochs = {"train": {"epochs": configure().train.epochs}}
    config = Config.resolve("mf", "infonce", "toy", layers=[layer, epochs])
    result = train(config, dataset, device="cpu")
    assert result.metrics["valid/recall@20"] == summary["best"]["value"]
    assert result.best_epoch == summary["best"]["best_epoch"]


def test_the_test_split_is_never_ranked(study, monkeypatch):
    ranked, rank = [], Evaluator.per_user

    def spy(self, scorer, split):
        ranked.append(split)
        return rank(self, scorer, split)

    monkeypatch.setattr(Evaluator, "per_user", spy)
    summary = study(trials=2)
    assert set(ranked) == {"valid"}
    assert "test" not in json.dumps(summary | {"study_dir": ""})


def test_a_study_is_continued_up_to_the_number_of_trials(study, tmp_path):
    for trials, finished in [(1, 1), (2, 2), (2, 2), (1, 2)]:
        assert study(trials=trials)["trials"]["finished"] == finished
    assert [trial.number for trial in stored(tmp_path / "study")] == [0, 1]


def test_an_interruption_does_not_change_what_is_drawn(study, tmp_path):
    whole = study(trials=3, folder=tmp_path / "whole")
    study(trials=1, folder=tmp_path / "parts")
    parts = study(trials=3, folder=tmp_path / "parts")
    drawn = [row["params"] for row in parts["top"]]
    assert drawn == [row["params"] for row in whole["top"]]
    assert len({params["loss.tau"] for params in drawn}) == 3


def test_the_seed_decides_what_is_drawn(study, configure, tmp_path):
    def drawn(seed):
        config = configure(train={"seed": seed})
        folder = tmp_path / f"seed-{seed}"
        study(config, trials=2, folder=folder)
        return stored(folder)[1].params

    assert drawn(1)["loss.tau"] != drawn(2)["loss.tau"]


def fail_in(monkeypatch, numbers, error):
    """Let the trainings of these numbers raise."""
    fit, calls = Trainer.fit, []

    def failing(self):
        calls.append(self)
        if len(calls) - 1 in numbers:
            raise error
        return fit(self)

    monkeypatch.setattr(Trainer, "fit", failing)


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (0, NonFiniteLossError("loss is nan")),
        (1, torch.OutOfMemoryError("CUDA out of memory")),
        (1, IndexError("a bug of a\nloss")),
    ],
)
def test_a_trial_that_fails_does_not_end_the_study(
    study, monkeypatch, tmp_path, error, number
):
    fail_in(monkeypatch, {number}, error)
    summary = study(trials=2)
    assert summary["trials"] == {
        **{"finished": 2, "complete": 1, "pruned": 0, "failed": 1},
    }
    row = rows(tmp_path / "study")[number]
    assert row["state"] == "failed"
    assert row["error"] == f"{type(error).__name__}: {' '.join(str(error).split())}"
    assert (summary["default_value"] is None) == (number == 0)


def test_a_combination_that_cannot_be_is_a_failed_trial(study, monkeypatch, tmp_path):
    def choose(study, task, trial):
        config = _choose(study, task, trial)
        if trial.number == 1:
            config.loss.model_extra["tau"] = -1.0
        return config

    _choose = running._choose
    monkeypatch.setattr(running, "_choose", choose)
    study(trials=2)
    assert rows(tmp_path / "study")[1]["error"] == (
        "ConfigError: loss.tau must be positive (got -1.0)"
    )


def test_a_study_of_failures_has_no_best(study, monkeypatch, tmp_path):
    fail_in(monkeypatch, range(9), NonFiniteLossError("loss is nan"))
    summary = study(trials=2)
    assert (summary["best"], summary["top"]) == (None, [])
    assert not (tmp_path / "study" / "best.toml").exists()


class Hopeless(NopPruner):
    """Finds every trial but the first hopeless."""

    def prune(self, study, trial):
        return trial.number > 0


def test_a_pruned_trial_ends_early_and_is_finished(study, tmp_path):
    summary = study(trials=3, pruner=Hopeless())
    assert summary["trials"] == {
        **{"finished": 3, "complete": 1, "pruned": 2, "failed": 0},
    }
    assert [row["epochs"] for row in rows(tmp_path / "study")] == ["2", "1", "1"]
    assert summary["best"]["default"]


def test_every_validation_is_reported(study, configure, tmp_path):
    config = configure(train={"epochs": 5, "eval_every": 2})
    study(config, trials=1)
    (trial,) = stored(tmp_path / "study")
    assert list(trial.intermediate_values) == [1, 3, 4]
    assert max(trial.intermediate_values.values()) == trial.value


class Stopping(Progress):
    """Presses Ctrl-C in the middle of a trial; keeps what it is told."""

    def __init__(self, number):
        self.number, self.said, self.open = number, [], None

    def say(self, text):
        self.said.append(text)

    def start(self, label, total=None, *, unit=""):
        self.open, self.epochs = label, 0

    def advance(self, steps=1, note=""):
        self.epochs += steps
        begun = self.open.startswith(f"trial {self.number} (")
        if begun and self.epochs == 2:
            raise KeyboardInterrupt

    def finish(self):
        self.open = None


def test_a_study_says_what_runs_and_how_far_it_is(study, tmp_path):
    progress = Stopping(-1)
    study(trials=2, progress=progress)
    first, ended, second, _ = progress.said
    assert first.startswith("trial 0 (1 of 2): ")
    assert "train.lr=" in first
    assert re.fullmatch(
        r"trial 0 \(default\) complete (\d\.\d{4}), best so far \1 of trial 0", ended
    )
    assert second.startswith("trial 1 (2 of 2): ")
    again = Stopping(-1)
    best = study(trials=3, progress=again)["best"]
    assert again.said[0].startswith(
        f"continuing {tmp_path / 'study'}: 2 of 3 trials finished (2 complete), best "
        "so far "
    )
    assert again.said[1].startswith("trial 2 (3 of 3): ")
    assert again.said[-1].endswith(
        f"best so far {best['value']:.4f} of trial {best['trial']}"
    )


@pytest.mark.parametrize("number", [0, 1])
def test_an_interrupted_trial_is_repeated(study, tmp_path, number):
    folder = tmp_path / "study"
    progress = Stopping(number)
    with pytest.raises(KeyboardInterrupt):
        study(trials=2, progress=progress)
    assert progress.open is None
    mark = " (default)" if number == 0 else ""
    assert progress.said[-1].startswith(f"trial {number}{mark} interrupted")
    summary = study(trials=number + 1)
    assert summary["trials"]["finished"] == number + 1
    interrupted, repeated = rows(folder)[number:]
    assert (interrupted["state"], repeated["state"]) == ("interrupted", "complete")
    for key in ("default", "loss.tau", "train.lr", "train.num_negatives"):
        assert interrupted[key] == repeated[key]
    assert repeated["default"] == str(number == 0)


def test_a_trial_of_a_process_that_was_killed_is_repeated(study, tmp_path):
    folder = tmp_path / "study"
    study(trials=1)
    storage = f"sqlite:///{folder / STUDY}"
    trial = optuna.load_study(study_name="study", storage=storage).ask()
    trial.suggest_float("loss.tau", 0.05, 3.0, log=True)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    trial.set_user_attr("process", ended.pid)
    study(trials=2)
    states = [found.state for found in stored(folder)]
    assert states == [TrialState.COMPLETE, TrialState.FAIL, TrialState.COMPLETE]
    assert stored(folder)[2].params["loss.tau"] == trial.params["loss.tau"]


def test_a_trial_of_another_process_counts_as_begun(study, tmp_path):
    folder = tmp_path / "study"
    study(trials=1)
    storage = f"sqlite:///{folder / STUDY}"
    trial = optuna.load_study(study_name="study", storage=storage).ask()
    trial.set_user_attr("process", os.getppid())
    study(trials=2)
    assert len(stored(folder)) == 2


def test_time_that_is_up_ends_the_study_and_is_no_error(study, tmp_path):
    assert study(trials=2, timeout=0)["trials"]["finished"] == 0
    assert study(trials=1, timeout=60)["trials"]["complete"] == 1


def test_time_may_be_up_in_the_middle_of_a_trial(study, tmp_path, monkeypatch):
    times = chain([0.0], repeat(math.inf))
    clock = SimpleNamespace(monotonic=lambda: next(times))
    monkeypatch.setattr("pyg_advinfonce.studies.tuning.trial.time", clock)
    summary = study(trials=2, timeout=60)
    assert summary["trials"]["finished"] == 0
    assert rows(tmp_path / "study")[0]["epochs"] == "1"
    assert rows(tmp_path / "study")[0]["state"] == "interrupted"


def test_a_study_of_other_settings_is_not_continued(study, configure):
    study(trials=1)
    with pytest.raises(ConfigError, match=r"epochs is 2 in the study, 3 here; choose"):
        study(configure(train={"epochs": 3}), trials=1)
    with pytest.raises(ConfigError, match=r"fixed is \[\] in the study, \['loss"):
        study(trials=1, fixed={"loss.tau"})


def test_other_data_is_another_study(study, dataset):
    study(trials=1)
    dataset.fingerprint = "other"
    with pytest.raises(ConfigError, match="data is toy in the study, other here"):
        study(trials=1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trials": 0}, r"trials must be positive \(got 0\)"),
        ({"timeout": -1.0}, r"timeout must not be negative \(got -1\.0\)"),
        ({"timeout": math.nan}, r"timeout must not be negative \(got nan\)"),
        ({"device": "warp"}, "device 'warp' is not available"),
    ],
)
def test_wrong_options_leave_nothing_behind(study, tmp_path, options, said):
    with pytest.raises(ConfigError, match=said):
        study(**options)
    assert list(tmp_path.iterdir()) == []


def test_a_default_that_cannot_train_is_an_error_at_once(study, configure, tmp_path):
    with pytest.raises(ConfigError, match=r"^loss\.tau must be positive"):
        study(configure(loss={"tau": -1.0}))
    assert list(tmp_path.iterdir()) == []


def test_what_is_fixed_keeps_its_value(study, configure, tmp_path):
    config = configure(loss={"tau": 0.5})
    study(config, trials=3, fixed={"loss.tau"})
    for trial in stored(tmp_path / "study"):
        assert "loss.tau" not in trial.params
    best = tomllib.loads((tmp_path / "study" / "best.toml").read_text("utf-8"))
    assert best["loss"] == {"name": "infonce", "tau": 0.5}


def test_settings_that_come_again_are_not_trained_again(study, monkeypatch, tmp_path):
    trained, fit = [], Trainer.fit
    monkeypatch.setattr(Trainer, "fit", lambda self: (trained.append(1), fit(self))[1])
    study(trials=4, fixed={"train.lr", "train.num_negatives", "loss.tau"})
    assert len(trained) == 2  # the default, and the one batch size that is left
    _, drawn, *others = rows(tmp_path / "study")
    for row in others:
        for key in ("state", "value", "best_epoch", "epochs", "train.batch_size"):
            assert row[key] == drawn[key]


def test_what_is_fixed_at_its_default_need_not_be_set(study, tmp_path):
    study(trials=2, fixed={"loss.tau"})
    assert "loss.tau" not in stored(tmp_path / "study")[1].params
    best = read_toml(tmp_path / "study" / "best.toml")
    assert best["loss"] == {"name": "infonce"}


def test_a_file_that_is_locked_while_a_trial_runs(study, tmp_path, monkeypatch):
    monkeypatch.setattr("pyg_advinfonce.studies.tuning.storage.SECONDS_TO_WAIT", 0.05)
    file = tmp_path / "study" / STUDY

    class Locking(Progress):
        def start(self, label, total=None, *, unit=""):
            other.execute("BEGIN EXCLUSIVE")

    study(trials=1)
    with (
        closing(sqlite3.connect(file)) as other,
        pytest.raises(OSError, match="locked by another process") as found,
    ):
        study(trials=2, progress=Locking())
    assert found.value.filename == str(file)
    assert study(trials=2, timeout=0)["trials"]["finished"] == 1


def test_a_loss_without_sampled_negatives_does_not_search_their_number(
    study, configure, tmp_path
):
    study(configure(loss={"negatives": "in_batch"}), trials=2)
    assert "train.num_negatives" not in stored(tmp_path / "study")[1].params


def test_all_negatives_stay_all(study, configure, tmp_path):
    summary = study(configure(train={"num_negatives": "all"}), trials=2)
    assert "train.num_negatives" not in stored(tmp_path / "study")[1].params
    assert summary["trials"]["finished"] == 2


def test_no_batch_is_larger_than_the_data(study, tmp_path):
    study(trials=3)
    sizes = [int(row["train.batch_size"]) for row in rows(tmp_path / "study")]
    assert sizes[0] == 4
    num_pairs = sizes[1]
    assert sizes[1:] == [num_pairs, num_pairs]
    assert num_pairs < 64


def test_a_folder_s_name_may_hold_anything(study, tmp_path):
    folder = tmp_path / "été {SCHEMA_VERSION} ?a=1#%20"
    assert study(trials=1, folder=folder)["trials"]["complete"] == 1
    assert (folder / STUDY).is_file()


WORKER = """
import sys
from pathlib import Path
from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets.load import load_dataset
from pyg_advinfonce.studies.tuning import tune
config = Config.resolve("mf", "bpr", layers=[{"train": {"epochs": 1}}])
options = {"fixed": {"train.batch_size"}, "trials": 4}
tune(config, load_dataset("simulated"), folder=Path(sys.argv[1]), **options)
"""


def test_two_processes_share_a_study(tmp_path):
    command = [sys.executable, "-c", WORKER, tmp_path / "study"]
    workers = [subprocess.Popen(command) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    trials = stored(tmp_path / "study")
    assert 4 <= len(trials) <= 5
    assert all(trial.state == TrialState.COMPLETE for trial in trials)
    assert [t.number for t in trials if t.user_attrs.get("default")] == [0]
    assert len({str(trial.params) for trial in trials}) > 1
    assert len({trial.user_attrs["process"] for trial in trials}) == 2


def test_assemble_ranks_no_test_split(dataset, configure, monkeypatch):
    def spy(self, scorer, split):
        assert split == "valid"
        return {"valid/recall@20": 0.5}

    monkeypatch.setattr(Evaluator, "metrics", spy)
    trainer = assemble(configure(), dataset, device="cpu")
    trainer.fit()
    assert trainer.stopping.best_score == 0.5


def test_simulated_data_needs_no_folder(tmp_path):
    config = Config.resolve("mf", "bpr", layers=[{"train": {"epochs": 1}}])
    summary = tune(config, load_dataset("simulated"), folder=tmp_path, trials=1)
    assert summary["data"] == "simulated"


def test_the_space_sees_the_graph_that_is_trained_on(tmp_path, monkeypatch):
    build = mf.build_mf

    def reading(graph, criterion, **options):
        assert graph[INTERACTS].edge_weight.isfinite().all()
        return build(graph, criterion, **options)

    monkeypatch.setattr(mf, "build_mf", wraps(build)(reading))
    config = Config.resolve("mf", "bpr", layers=[{"train": {"epochs": 1}}])
    summary = tune(config, load_dataset("simulated"), folder=tmp_path, trials=1)
    assert summary["trials"]["complete"] == 1


def test_the_folder_is_made_when_the_settings_are_known_to_work(
    study, configure, tmp_path
):
    def make():
        raise AssertionError("the folder was asked for")

    with pytest.raises(ConfigError, match=r"^loss\.tau must be positive"):
        study(configure(loss={"tau": 0.0}), folder=make)
    folder = tmp_path / "made"
    assert study(trials=1, folder=lambda: folder)["study_dir"] == str(folder)


def test_a_study_of_little_data_has_small_batches(dataset, tmp_path):
    layers = [{"model": {"dim": 4}, "train": {"epochs": 1}}]
    config = Config.resolve("mf", "infonce", "toy", layers=layers)
    with pytest.warns(UserWarning, match=r"^train\.batch_size is reduced to 4"):
        summary = tune(config, dataset, folder=tmp_path, trials=1, device="cpu")
    assert summary["trials"]["complete"] == 1
    assert rows(tmp_path)[0]["train.batch_size"] == "4"


def test_a_graph_in_memory(configure, graph, tmp_path):
    options = {"trials": 1, "folder": tmp_path / "study", "device": "cpu"}
    summary = tune(configure(), graph, **options)
    assert summary["data"] == "data in memory"
    assert summary["fingerprint"].startswith("graph: ")
    alone = train(configure(), graph, device="cpu")
    assert summary["default_value"] == alone.metrics["valid/recall@20"]


def test_a_study_that_keeps_no_trial_does_not_go_on_for_ever(study, monkeypatch):
    tell = optuna.study.Study.tell
    monkeypatch.setattr(
        optuna.study.Study,
        "tell",
        lambda self, trial, **_: tell(self, trial, state=TrialState.FAIL),
    )
    with pytest.raises(CheckpointError, match=r"trial 0 was not kept"):
        study(trials=2)


@pytest.mark.parametrize("model", ["itemknn", "ease", "ials"])
def test_a_model_without_a_loss_is_searched(model, study, configure):
    summary = study(configure(model, "none"), trials=3)
    assert summary["trials"]["complete"] == 3
    for row in summary["top"]:
        assert {key.split(".")[0] for key in row["params"]} == {"model"}
    found = [row["params"] for row in summary["top"]]
    assert any(params != found[0] for params in found)


def test_nothing_to_search_is_an_error(study, configure, tmp_path):
    with pytest.raises(ConfigError, match=r"^model 'popularity' has no setting to sea"):
        study(configure("popularity", "none"), trials=3)
    assert not (tmp_path / "study").exists()
