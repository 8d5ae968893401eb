import csv
from datetime import timedelta

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from pyg_advinfonce.config import NAMED, read_toml
from pyg_advinfonce.studies.tuning.study_files import save_study, trial_row

FAIL, PRUNED, COMPLETE = TrialState.FAIL, TrialState.PRUNED, TrialState.COMPLETE
TRIALS = [
    (COMPLETE, 0.25, {"default": True, "settings": {"train.lr": 0.5}}),
    (COMPLETE, 0.75, {"settings": {"train.lr": 0.1}, "best_epoch": 4, "epochs": 9}),
    (FAIL, None, {"settings": {"train.lr": 0.2}, "error": "=cmd()"}),
    (FAIL, None, {}),
    (PRUNED, 0.875, {"settings": {"train.lr": 0.3}}),
    (COMPLETE, 0.5, {"settings": {"train.lr": 0.4}}),
    (COMPLETE, 0.75, {"settings": {"train.lr": 0.6}}),
]


@pytest.fixture
def study():
    """Trials of every kind."""
    study = optuna.create_study(direction="maximize")
    study.set_user_attr("settings", {"data": "toy"})
    for state, value, notes in TRIALS:
        study.add_trial(create_trial(state=state, value=value, user_attrs=notes))
    study.enqueue_trial({})
    return study


@pytest.fixture
def summary(study, configure, tmp_path):
    """The report in a folder, and its summary."""
    config = configure(loss={"tau": 0.5})
    return save_study(study, config, {"loss.tau"}, tmp_path)


def test_the_best_complete_trial_comes_first_of_equals_the_earliest(summary):
    assert [row["trial"] for row in summary["top"]] == [1, 6, 5, 0]
    assert summary["best"]["trial"] == 1
    assert summary["default_value"] == 0.25


def test_a_clock_that_is_set_back_gives_no_negative_seconds():
    trial = create_trial(value=0.5)
    trial.datetime_complete = trial.datetime_start - timedelta(hours=1)
    assert trial_row(trial)["seconds"] == 0


def test_an_interrupted_trial_is_not_counted(summary):
    assert summary["trials"] == {
        **{"finished": 6, "complete": 4, "pruned": 1, "failed": 1},
    }


def test_the_best_settings_are_what_was_fixed_and_what_was_found(
    summary, tmp_path, configure
):
    saved = read_toml(tmp_path / "best.toml")
    assert [saved[section].pop("name") for section in NAMED] == ["mf", "infonce", "toy"]
    sections = {"model": {}, "data": {}, "loss": {"tau": 0.5}, "train": {"lr": 0.1}}
    assert saved == sections


def test_every_trial_that_ended_is_a_row(summary, tmp_path):
    with (tmp_path / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == [
        *("complete", "complete", "failed", "interrupted", "pruned", "complete"),
        "complete",
    ]
    assert [row["train.lr"] for row in rows[:4]] == ["0.5", "0.1", "0.2", ""]
    assert (rows[1]["best_epoch"], rows[1]["epochs"]) == ("4", "9")
    assert rows[2]["error"] == "'=cmd()"  # no formula
