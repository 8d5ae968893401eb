"""Reading finished seeds: settings, metrics, history, metrics per user."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from struct import error as StructError  # noqa: N812
from typing import Any
from zipfile import BadZipFile
from zlib import error as ZlibError  # noqa: N812

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import CheckpointError, ConfigError
from pyg_advinfonce.files import whole_file
from pyg_advinfonce.registry import unknown
from pyg_advinfonce.runs.folder import (
    CONFIG,
    HISTORY,
    METRICS,
    PER_USER,
    seed_folders,
)

SHOWN = 3
TIMES = ("seconds_per_epoch", "wall_seconds")
OUTCOME = (
    *("metrics", "best_epoch", "epochs", *TIMES, "peak_rss_mb", "device"),
    *("versions", "data"),
)
"""The keys of ``metrics.json``."""

Values = NDArray[Any]
# Errors of zipfile and numpy on a damaged file or a file of another kind.
DAMAGE = (
    *(OSError, ValueError, TypeError, EOFError, RuntimeError),
    *(BadZipFile, ZlibError, StructError),
)


@dataclass(frozen=True)
class FinishedSeed:
    """One trained seed of a run.

    Attributes:
        folder: The seed's folder.
        config: The configuration.
        outcome: The content of ``metrics.json``.
    """

    folder: Path
    config: Config
    outcome: dict[str, Any]

    @property
    def seed(self) -> int:
        """The seed."""
        return self.config.train.seed

    def refit_config(self) -> Config:
        """Return the settings to train on all splits, for as long as validation chose.

        Raises:
            ConfigError: If the seed was trained on all splits itself.
        """
        self.config.check_held_out()
        epochs = self.outcome["best_epoch"] + 1
        return self.config.updated({"train": {"refit": True, "epochs": epochs}})

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the data."""
        return str(self.outcome["data"])

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row per epoch, one column per value; NaN where a value is missing.

        Raises:
            CheckpointError: If the file is missing or damaged.
        """
        file = self.folder / HISTORY
        try:
            rows = [_object(line) for line in file.read_text("utf-8").splitlines()]
            found = pd.DataFrame(rows, columns=None if rows else ["epoch"])
            return found.astype(float)
        except OSError as error:
            raise CheckpointError(f"{file}: {error.strerror}") from error
        except (ValueError, TypeError, RecursionError) as error:
            raise CheckpointError(f"{file} is damaged: {error}") from error

    def value(self, metric: str) -> float | None:
        """Return a metric or a time of ``TIMES``; None if it is missing or not finite.

        Raises:
            UnknownNameError: If the run does not have the metric.
        """
        values: dict[str, float | None] = {n: self.outcome.get(n) for n in TIMES}
        values |= self.outcome["metrics"]
        if metric not in values:
            raise unknown("metric", metric, self.outcome["metrics"])
        return values[metric]


def _object(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise TypeError("expected a JSON object")
    return found


def read_seed(folder: Path) -> FinishedSeed:
    """Read a finished seed from its folder.

    Raises:
        CheckpointError: If the seed is not finished, or a file is damaged.
    """
    file = folder / METRICS
    try:
        outcome = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        reason = f"{folder} holds no finished run: it has no {file.name}"
        raise CheckpointError(reason) from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} is damaged: {error}") from error
    if not isinstance(outcome, dict):
        raise CheckpointError(f"{file} is damaged: expected a JSON object")
    for key in OUTCOME:
        if key not in outcome:
            raise CheckpointError(f"{file} is damaged: it has no '{key}'")
    return FinishedSeed(folder, Config.load(folder / CONFIG), outcome)


def find_seed(folder: Path, config: Config, fingerprint: str) -> FinishedSeed | None:
    """Return the seed in a folder if it is finished with these settings, else None.

    Args:
        folder: The seed's folder.
        config: The settings.
        fingerprint: The fingerprint of the data.

    Raises:
        CheckpointError: If the seed was trained on other data.
    """
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
    if trained_on.rpartition(": ")[2] != found.rpartition(": ")[2]:
        raise CheckpointError(
            f"{what} was trained on other data: {trained_on}; found {found}"
        )


def read_run(folder: Path, *, partly: bool = False) -> list[FinishedSeed]:
    """Read all seeds of a run, or a single seed.

    Args:
        folder: The folder of a run or of a seed.
        partly: Skip seeds that are not finished.

    Raises:
        CheckpointError: If the folder holds no finished seed, a seed is damaged or,
            unless ``partly``, a seed is not finished.
    """
    seeds = seed_folders(folder)
    if not any((seed / METRICS).is_file() for seed in seeds):
        raise CheckpointError(
            f"{folder} holds no finished run: it has no {METRICS}{_runs_below(folder)}"
        )
    chosen = [s for s in seeds if not partly or (s / METRICS).is_file()]
    return [read_seed(seed) for seed in chosen]


def _runs_below(folder: Path) -> str:
    """Return a hint with the first few runs in subfolders."""
    found = {file.parent.parent for file in folder.rglob(f"seed-*/{METRICS}")}
    names = [str(run) for run in sorted(found)[:SHOWN]]
    more = ["..."] * (len(found) > SHOWN)
    return f"; choose one of {', '.join(names + more)}" if found else ""


def save_per_user(values: Mapping[str, Values], folder: Path) -> None:
    """Write arrays named ``test/user`` (ids), ``test/recall@20`` and so on."""
    arrays: dict[str, Any] = dict(values)
    with (
        whole_file(folder / PER_USER) as unfinished,
        unfinished.open("wb") as stream,
    ):
        np.savez_compressed(stream, **arrays)


def load_per_user(folder: Path, metric: str) -> tuple[Values, Values]:
    """Read the users ``[N]`` of a metric's split, and the value of each user ``[N]``.

    Raises:
        CheckpointError: If the file is missing or damaged, or has no such metric.
    """
    file = folder / PER_USER
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return arrays[f"{metric.split('/')[0]}/user"], arrays[metric]
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} has no {PER_USER}") from error
    except KeyError as error:
        raise CheckpointError(f"{file} has no {metric}") from error
    except DAMAGE as error:
        raise CheckpointError(f"{file} is damaged: {error}") from error
