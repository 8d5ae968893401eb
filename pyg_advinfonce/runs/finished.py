"""Finished seeds: their settings, metrics and per-user metrics."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from struct import error as StructError  # noqa: N812
from typing import Any
from zipfile import BadZipFile
from zlib import error as ZlibError  # noqa: N812

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.files import whole_file
from pyg_advinfonce.registry import unknown
from pyg_advinfonce.runs.folder import seed_folders


def check_data(what: Path, trained_on: str, found: str) -> None:
    """Compare the data that something was trained on with what is there, in a line.

    Raises:
        CheckpointError: If they differ.
    """
    if trained_on != found:
        raise CheckpointError(
            f"{what} was trained on other data: {trained_on}; found {found}"
        )


TIMES = ("seconds_per_epoch", "wall_seconds")


@dataclass(frozen=True)
class FinishedSeed:
    """One trained seed of a run.

    Attributes:
        folder: Where it lies.
        config: What was trained.
        record: The content of ``metrics.json``.
    """

    folder: Path
    config: Config
    record: dict[str, Any]

    @property
    def seed(self) -> int:
        """The seed."""
        return self.config.train.seed

    @property
    def fingerprint(self) -> str:
        """The data, in one line."""
        return str(self.record["data"])

    def value(self, metric: str) -> float | None:
        """Return a metric, or a time of ``TIMES``; None where it was not finite.

        Raises:
            UnknownNameError: If the run does not know the metric.
        """
        values: dict[str, float | None] = {n: self.record.get(n) for n in TIMES}
        values |= self.record["metrics"]
        if metric not in values:
            raise unknown("metric", metric, self.record["metrics"])
        return values[metric]


def read_seed(folder: Path) -> FinishedSeed:
    """Read what one trained seed has left in its folder.

    Raises:
        CheckpointError: If it is not finished, or damaged.
    """
    file = folder / "metrics.json"
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        reason = f"{folder} holds no finished run, no {file.name}"
        raise CheckpointError(reason) from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} is damaged: {error}") from error
    if not isinstance(record, dict) or not {"metrics", "data"} <= record.keys():
        raise CheckpointError(f"{file} is damaged: not the metrics of a run")
    return FinishedSeed(folder, Config.load(folder / "config.toml"), record)


def read_run(folder: Path) -> list[FinishedSeed]:
    """Read all seeds of a run, or the one that the folder is of.

    Raises:
        CheckpointError: If it holds none, or one that is not finished.
    """
    return [read_seed(seed) for seed in seed_folders(folder)]


PER_USER_FILE = "per_user.npz"

Values = NDArray[Any]
# What zipfile and numpy make of a file that is none of theirs, or a damaged one.
DAMAGE = (
    *(OSError, ValueError, TypeError, EOFError, RuntimeError),
    *(BadZipFile, ZlibError, StructError),
)


def save_per_user(values: Mapping[str, Values], folder: Path) -> None:
    """Write arrays by name: ``test/user`` are ids, ``test/recall@20`` theirs, ..."""
    arrays: dict[str, Any] = dict(values)
    with (
        whole_file(folder / PER_USER_FILE) as unfinished,
        unfinished.open("wb") as stream,
    ):
        np.savez_compressed(stream, **arrays)


def load_per_user(folder: Path, metric: str) -> tuple[Values, Values]:
    """Read the users ``[N]`` of a metric's split and what they got ``[N]``.

    Raises:
        CheckpointError: If the file is missing or damaged, or has no such metric.
    """
    file = folder / PER_USER_FILE
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return arrays[f"{metric.split('/')[0]}/user"], arrays[metric]
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} has no {PER_USER_FILE}") from error
    except KeyError as error:
        raise CheckpointError(f"{file} has no {metric}") from error
    except DAMAGE as error:
        raise CheckpointError(f"{file} is damaged: {error}") from error
