import sqlite3
from contextlib import closing

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from pyg_advinfonce.errors import CheckpointError, ConfigError
from pyg_advinfonce.runs import STUDY
from pyg_advinfonce.studies.tuning import storage
from pyg_advinfonce.studies.tuning.storage import (
    is_finished,
    open_study,
    storage_errors,
)


@pytest.fixture
def opened(tmp_path):
    """Open the study of a folder."""

    def run(**settings):
        with storage_errors(tmp_path):
            return open_study(tmp_path, settings, {}, optuna.pruners.NopPruner())

    return run


def test_a_locked_file_is_said_to_be_locked(opened, tmp_path, monkeypatch):
    opened()
    monkeypatch.setattr(storage, "SECONDS_TO_WAIT", 0.05)
    with closing(sqlite3.connect(tmp_path / STUDY)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OSError, match="locked by another process") as found:
            opened()
    assert found.value.filename == str(tmp_path / STUDY)


def test_a_file_that_is_locked_while_a_study_runs(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "SECONDS_TO_WAIT", 0.05)
    study = opened()
    with closing(sqlite3.connect(tmp_path / STUDY)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with (
            pytest.raises(OSError, match="locked by another process"),
            storage_errors(tmp_path),
        ):
            study.ask()


def test_a_file_that_is_no_database(opened, tmp_path):
    (tmp_path / STUDY).write_text("my thesis " * 99, encoding="utf-8")
    with pytest.raises(CheckpointError, match="is not a study: file is not a database"):
        opened()


def test_a_file_of_another_version(opened, tmp_path):
    opened()
    with closing(sqlite3.connect(tmp_path / STUDY)) as file:
        file.execute("UPDATE alembic_version SET version_num = 'v0.9.0.a'")
        file.commit()
    with pytest.raises(CheckpointError, match=r"sqlite3: The runtime optuna version"):
        opened()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / STUDY).mkdir()
    with (
        pytest.raises(OSError, match="unable to open database file"),
        storage_errors(tmp_path),
    ):
        open_study(tmp_path, {}, {}, optuna.pruners.NopPruner())


def test_the_first_difference_of_settings_is_named(opened):
    opened(epochs=2, seed=1)
    with pytest.raises(ConfigError, match="seed is 1 in the study, 3 here"):
        opened(epochs=2, seed=3)
    with pytest.raises(ConfigError, match="seed is 1 in the study, not set here"):
        opened(epochs=2)
    with pytest.raises(ConfigError, match="lr is not set in the study, 4 here"):
        opened(epochs=2, seed=1, lr=4)


@pytest.mark.parametrize(
    ("state", "notes", "finished"),
    [
        (TrialState.COMPLETE, {}, True),
        (TrialState.PRUNED, {}, True),
        (TrialState.FAIL, {"error": "no memory"}, True),
        (TrialState.FAIL, {}, False),
        (TrialState.RUNNING, {}, False),
        (TrialState.WAITING, {}, False),
    ],
)
def test_an_interrupted_trial_has_not_finished(state, notes, finished):
    value = 0.5 if state == TrialState.COMPLETE else None
    assert is_finished(create_trial(state=state, value=value, user_attrs=notes)) is (
        finished
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE study_user_attributes SET value_json = '3'", "settings: input should"),
        ("UPDATE study_user_attributes SET value_json = '['", "is damaged: JSONDecode"),
        ("UPDATE study_directions SET direction = 'MINIMIZE'", "does not maximise"),
        ("DELETE FROM study_directions", "does not maximise|is damaged"),
        ("ALTER TABLE trials RENAME COLUMN state TO x", "is not a study: no such col"),
        (
            "UPDATE trial_user_attributes SET value_json = '3'",
            "trial 0 is damaged: def",
        ),
        ("UPDATE trials SET number = 7", "is damaged: it has no trial 0"),
        ("UPDATE trials SET datetime_start = 3", "is damaged: TypeError"),
        ("UPDATE trials SET state = 'COMPLETE'", "trial 0 is damaged: value: input"),
    ],
)
def test_a_changed_database_is_refused_in_one_line(opened, tmp_path, change, said):
    opened(epochs=2)
    with closing(sqlite3.connect(tmp_path / STUDY)) as file:
        file.execute(change)
        file.commit()
    with pytest.raises(CheckpointError, match=said) as error:
        opened(epochs=2)
    assert "\n" not in str(error.value)


def test_a_damaged_page_is_found_before_it_is_used(opened, tmp_path):
    opened(epochs=2)
    with (tmp_path / STUDY).open("r+b") as file:
        file.seek(36)  # the number of free pages, which no query reads
        file.write(bytes([0, 0, 0, 7]))
    with pytest.raises(CheckpointError, match=r"sqlite3 is damaged: .*") as error:
        opened(epochs=2)
    assert "\n" not in str(error.value)
