"""Storage of a study: one SQLite file that several processes may share."""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from errno import EIO
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import optuna
from optuna.exceptions import OptunaError, StorageInternalError
from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from pydantic import Field
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from pyg_advinfonce.config import flatten
from pyg_advinfonce.errors import AdvInfoNCEError, CheckpointError, ConfigError
from pyg_advinfonce.files import locked
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.runs import LOCK, STUDY
from pyg_advinfonce.schema import Count, FileData, Number, check_values
from pyg_advinfonce.studies.tuning.space import Params

SECONDS_TO_WAIT = 60.0  # for another process to write
DAMAGED = (
    *("no such table", "no such column", "malformed database schema"),
    "Could not decode to UTF-8",
)
"""How messages of SQLite begin on a damaged database or one of other tables."""


class _StudyNotes(FileData):
    """The user attributes of a study."""

    settings: dict[str, Any]


class _TrialNotes(FileData):
    """The number, value and user attributes of a trial."""

    number: Count
    value: Number | None
    default: bool = False
    process: int | None = Field(default=None, ge=1, lt=2**31)
    epochs: Count | None = None
    best_epoch: int | None = Field(default=None, ge=-1)
    settings: dict[
        Annotated[str, Field(pattern=r"^\w+\.\w+$")], bool | int | Number | str
    ] = Field(default_factory=dict)
    error: str | None = None


class _CompleteNotes(_TrialNotes):
    """Those of a complete trial."""

    value: Number
    epochs: Count
    best_epoch: int = Field(ge=-1)
    settings: dict[str, bool | int | Number | str]


def open_study(
    folder: Path,
    settings: Mapping[str, Any],
    default: Params,
    pruner: BasePruner,
    progress: Progress = Progress(),
) -> Study:
    """Open the study of a folder, or make one whose first trial is the default.

    Args:
        folder: The study's folder.
        settings: The settings that a study keeps: JSON-ready values by name.
        default: The parameters of the first trial.
        pruner: Ends unpromising trials.
        progress: Receives a line if another process has locked the study.

    Raises:
        ConfigError: If the folder holds a study of other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / STUDY
    waiting = f"waiting for another process that opens the study {folder}"
    with (
        locked(folder / LOCK, waiting=waiting, progress=progress),
        _reading(path),
    ):
        study = optuna.create_study(
            study_name="study",
            storage=_storage(path),
            pruner=pruner,
            direction="maximize",
            load_if_exists=True,
        )
        if not study.user_attrs:
            enqueue(study, default, is_default=True)
            study.set_user_attr("settings", dict(settings))
        saved = check_values(str(path), study.user_attrs, _StudyNotes).settings
        _check_same(folder, saved, settings)
        if study.directions != [StudyDirection.MAXIMIZE]:
            raise CheckpointError(f"{path} is damaged: it does not maximise one value")
        _check_trials(path, study.get_trials(deepcopy=False))
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            if not is_running(trial):
                requeue(study, trial, default)
    return study


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn any error of Optuna on a damaged database into one that names its file."""
    try:
        yield
    except (OptunaError, SQLAlchemyError, AdvInfoNCEError, OSError):
        raise
    except Exception as error:
        raise CheckpointError(
            f"{path} is damaged: {type(error).__name__}: {error}"
        ) from error


def _check_trials(path: Path, trials: Sequence[FrozenTrial]) -> None:
    """Check what the trials of a study hold.

    Raises:
        CheckpointError: If a trial lacks a value or has one of another type.
    """
    for number, trial in enumerate(trials):
        schema = _CompleteNotes if trial.state == TrialState.COMPLETE else _TrialNotes
        notes = trial.user_attrs | {"number": trial.number, "value": trial.value}
        if check_values(f"{path}, trial {number}", notes, schema).number != number:
            raise CheckpointError(f"{path} is damaged: it has no trial {number}")


def settings_of(study: Study) -> dict[str, Any]:
    """Return the settings that a study was made with."""
    found: dict[str, Any] = study.user_attrs["settings"]
    return found


def enqueue(study: Study, params: Params, *, is_default: bool) -> None:
    """Queue parameters for the next trial."""
    study.enqueue_trial(params, user_attrs={"default": is_default})


def requeue(study: Study, trial: FrozenTrial, default: Params) -> None:
    """Mark an interrupted trial as failed and queue its parameters again."""
    is_default = is_of_default(trial)
    study.tell(trial.number, state=TrialState.FAIL)
    enqueue(study, default if is_default else trial.params, is_default=is_default)


def is_of_default(trial: FrozenTrial) -> bool:
    """Whether a trial has the default configuration."""
    return bool(trial.user_attrs.get("default"))


def is_finished(trial: FrozenTrial) -> bool:
    """Whether a trial has ended by itself; an interrupted trial fails without error."""
    interrupted = trial.state == TrialState.FAIL and "error" not in trial.user_attrs
    return trial.state.is_finished() and not interrupted


def is_running(trial: FrozenTrial) -> bool:
    """Whether a trial is running, in a process that has not been killed."""
    process = trial.user_attrs.get("process")
    if trial.state != TrialState.RUNNING or process is None:
        return trial.state == TrialState.RUNNING  # without a process: just begun
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # the process is of another user
        pass
    return True


def _storage(path: Path) -> optuna.storages.RDBStorage:
    connect = partial(
        sqlite3.connect, path, timeout=SECONDS_TO_WAIT, check_same_thread=False
    )
    engine = create_engine("sqlite://", creator=connect)
    with engine.connect() as connection:
        found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
    engine.dispose()
    if found != "ok":
        raise CheckpointError(f"{path} is damaged: {' '.join(str(found).split())}")
    # A folder in the address would have to be quoted.
    try:
        return optuna.storages.RDBStorage(
            f"sqlite:///{STUDY}", engine_kwargs={"creator": connect}
        )
    except RuntimeError as error:  # tables of another Optuna version
        raise CheckpointError(f"{path}: {error}") from error


def _check_same(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise an error with the first setting that differs from the study's."""
    old, new = flatten(old), flatten(new)
    for name in [*new, *old]:
        saved, here = old.get(name, "not set"), new.get(name, "not set")
        if saved != here:
            raise ConfigError(
                f"{folder} holds a study of other settings: "
                f"{name.removeprefix('configuration.')} is {saved} in the study, "
                f"{here} here; choose another --out"
            )


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Turn errors of the storage into errors that name its file.

    Raises:
        OSError: If the file is locked or cannot be written.
        CheckpointError: If the file is not a study.
    """
    path = folder / STUDY
    try:
        yield
    except (OptunaError, SQLAlchemyError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        said = str(getattr(cause, "orig", cause)).partition("\n")[0]
        if "locked" in said:
            said = "locked by another process; run the command again to continue"
        if isinstance(cause, OperationalError) and not said.startswith(DAMAGED):
            raise OSError(EIO, said, str(path)) from error
        raise CheckpointError(f"{path} is not a study: {said}") from error
