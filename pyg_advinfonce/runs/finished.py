"""Reading finished seeds: settings, metrics, history, metrics per user."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import (
    CheckpointError,
    ConfigError,
    UnknownNameError,
    counted,
)
from pyg_advinfonce.files import read_bytes, whole_file
from pyg_advinfonce.registry import MONITOR, unknown
from pyg_advinfonce.runs.folder import (
    CONFIG,
    HISTORY,
    METRICS,
    PER_USER,
    no_run,
    seed_folders,
)
from pyg_advinfonce.schema import (
    MAX_BYTES,
    Count,
    FileData,
    Number,
    parse_json,
    read_json,
)

if TYPE_CHECKING:
    import pandas as pd

TIMES = ("seconds_per_epoch", "wall_seconds")

Values = NDArray[Any]


class Outcome(FileData):
    """The content of ``metrics.json``.

    Attributes:
        metrics: The metrics of every split at the best epoch; None if not finite.
        best_epoch: That epoch, counted from 0; -1 without a validation.
        epochs: The number of trained epochs.
        seconds_per_epoch: Mean training time per epoch, without evaluation and without
            the first epoch.
        wall_seconds: The time of the whole run, without loading the data.
        peak_rss_mb: The peak memory of the process.
        device: The device of the training.
        versions: The versions of the library and its dependencies.
        data: The fingerprint of the data.
    """

    metrics: dict[str, Number | None]
    best_epoch: int = Field(ge=-1)
    epochs: Count
    seconds_per_epoch: Number | None
    wall_seconds: Number
    peak_rss_mb: Number
    device: str
    versions: dict[str, str]
    data: str


class Epoch(FileData):
    """One line of ``history.jsonl``: the epoch, and values by name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Number | None]

    epoch: Count


@dataclass(frozen=True, repr=False)
class FinishedSeed:
    """One trained seed of a run.

    Attributes:
        folder: The seed's folder.
        config: The configuration.
        outcome: The content of ``metrics.json``.
    """

    folder: Path
    config: Config
    outcome: Outcome

    def __repr__(self) -> str:
        best = epoch_text(self.outcome.best_epoch, self.outcome.epochs)
        what = f"{self.config.title}, seed {self.seed}, best epoch {best}"
        return f"FinishedSeed({str(self.folder)!r}: {what})"

    @property
    def seed(self) -> int:
        """The seed."""
        return self.config.train.seed

    @property
    def line(self) -> str:
        """The best epoch, its validation and the time, in less than a line."""
        outcome = self.outcome
        facts = [counted(outcome.epochs, "epoch")]
        score = outcome.metrics.get(MONITOR)
        if score is not None:
            best = epoch_text(outcome.best_epoch, outcome.epochs)
            facts = [f"{MONITOR} {score:.4f} in epoch {best}"]
        return ", ".join([*facts, f"{outcome.wall_seconds:.1f} s"])

    def refit_config(self) -> Config:
        """Return the settings to train on all splits, for as long as validation chose.

        Raises:
            ConfigError: If the seed was trained on all splits itself.
        """
        if self.config.train.refit:
            raise ConfigError(
                f"{self.folder} is trained on the pairs of all splits already: use it, "
                "or refit the run that it was made from"
            )
        epochs = self.outcome.best_epoch + 1
        return self.config.updated({"train": {"refit": True, "epochs": epochs}})

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the data."""
        return self.outcome.data

    @cached_property
    def history(self) -> "pd.DataFrame":
        """One row per epoch, one column per value; NaN where a value is missing.

        Raises:
            CheckpointError: If the file is missing or damaged.
        """
        return history_table(read_history(self.folder))

    def value(self, metric: str) -> float | None:
        """Return a metric or a time of ``TIMES``; None if it is missing or not finite.

        Raises:
            UnknownNameError: If the run does not have the metric.
        """
        values = {name: getattr(self.outcome, name) for name in TIMES}
        values |= self.outcome.metrics
        if metric not in values:
            error = unknown("metric", metric, self.outcome.metrics)
            raise UnknownNameError(
                f"{error}, as measured after training; `advnce evaluate "
                f"{shlex.quote(str(self.folder))} -k 10` measures other lengths"
            )
        return values[metric]


def epoch_text(best: int, epochs: int) -> str:
    """Return an epoch among those of a training, counted from 0: ``4 of 0-19``."""
    return f"{best} of 0-{epochs - 1}"


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Read the values of every epoch of a seed; None where one is not finite.

    Raises:
        CheckpointError: If the file is missing or damaged.
    """
    file, rows = folder / HISTORY, []
    for number, line in enumerate(
        read_bytes(file, MAX_BYTES, CheckpointError).splitlines()
    ):
        row = parse_json(f"{file}:{number + 1}", line, Epoch)
        if row.epoch != number:
            raise CheckpointError(
                f"{file}:{number + 1} is damaged: expected epoch {number} "
                f"(got {row.epoch})"
            )
        rows.append(row.model_dump())
    return rows


def history_table(rows: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
    """Return a table with one row per epoch, NaN where a value is missing."""
    import pandas as pd  # takes longer to import than all else that lists runs

    table = pd.DataFrame(rows, columns=None if rows else ["epoch"])
    return table.astype(float).astype({"epoch": int})


def read_seed(folder: Path | str) -> FinishedSeed:
    """Read a finished seed from its folder.

    Raises:
        CheckpointError: If the seed is not finished, or a file is damaged.
    """
    folder = Path(folder)
    file = folder / METRICS
    if not file.is_file():
        raise no_run(folder, METRICS)
    return FinishedSeed(folder, Config.load(folder / CONFIG), read_json(file, Outcome))


def find_seed(
    folder: Path | str, config: Config, fingerprint: str
) -> FinishedSeed | None:
    """Return the seed in a folder if it is finished with these settings, else None.

    Args:
        folder: The seed's folder.
        config: The settings.
        fingerprint: The fingerprint of the data.

    Raises:
        CheckpointError: If the seed was trained on other data.
    """
    folder = Path(folder)
    try:
        found = read_seed(folder)
    except (CheckpointError, ConfigError):
        return None
    check_data(folder, found.fingerprint, fingerprint)
    return found if found.config == config else None


def check_data(what: Path, trained_on: str, found: str) -> None:
    """Compare the fingerprint of a run's data with that of the data found.

    The label may differ, since the same content may come from another place.

    Raises:
        CheckpointError: If the fingerprints differ.
    """
    if not is_same_data(trained_on, found):
        raise CheckpointError(
            f"{what} was trained on other data: {trained_on}; found {found}"
        )


def is_same_data(one: str, other: str) -> bool:
    """Return whether two fingerprints are of the same data, under any label."""
    return one.rpartition(": ")[2] == other.rpartition(": ")[2]


def read_run(folder: Path | str, *, partly: bool = False) -> list[FinishedSeed]:
    """Read all seeds of a run, or a single seed.

    Args:
        folder: The folder of a run or of a seed.
        partly: Skip seeds that are not finished.

    Raises:
        CheckpointError: If the folder holds no finished seed, a seed is damaged or,
            unless ``partly``, a seed is not finished.
    """
    folder = Path(folder)
    seeds = seed_folders(folder)
    if not any((seed / METRICS).is_file() for seed in seeds):
        raise no_run(folder, METRICS)
    chosen = [s for s in seeds if not partly or (s / METRICS).is_file()]
    return [read_seed(seed) for seed in chosen]


def save_per_user(values: Mapping[str, Values], folder: Path) -> None:
    """Write arrays named ``test/user`` (ids), ``test/recall@20`` and so on."""
    arrays: dict[str, Any] = dict(values)
    with (
        whole_file(folder / PER_USER) as unfinished,
        unfinished.open("wb") as stream,
    ):
        np.savez_compressed(stream, **arrays)


def load_per_user(folder: Path | str, metric: str) -> tuple[Values, Values]:
    """Read the users ``[N]`` of a metric's split, and the value of each user ``[N]``.

    Raises:
        CheckpointError: If the file is missing or damaged, or has no such metric.
    """
    folder = Path(folder)
    file = folder / PER_USER
    if not file.is_file():
        raise CheckpointError(f"{folder} has no {PER_USER}")
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            users, values = arrays[f"{metric.split('/')[0]}/user"], arrays[metric]
    except KeyError as error:
        raise CheckpointError(f"{file} has no {metric}") from error
    except Exception as error:  # zipfile and numpy fail on damaged files in any way
        raise CheckpointError(f"{file} is damaged: {error}") from error
    kinds = users.dtype.kind, values.dtype.kind
    if users.ndim != 1 or users.shape != values.shape or kinds != ("i", "f"):
        raise CheckpointError(f"{file} is damaged: {metric} is not one number per user")
    return users, values
