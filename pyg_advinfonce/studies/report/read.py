"""What a run or a study has left in its folder."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.runs import FinishedSeed, read_seed, seed_folders

Row = dict[str, str]
T = TypeVar("T")
SHOWN = 3


@dataclass(frozen=True)
class Seed(FinishedSeed):
    """One trained seed with its history.

    Attributes:
        history: One row an epoch, a column a value; NaN where there is none.
    """

    history: pd.DataFrame


@dataclass(frozen=True)
class Study:
    """A study of ``advnce tune``: ``summary.json``, and ``trials.csv`` as texts."""

    summary: dict[str, Any]
    trials: list[Row]


def is_study(folder: Path) -> bool:
    """Whether a folder holds what ``advnce tune`` makes."""
    return any((folder / name).exists() for name in ("study.sqlite3", "trials.csv"))


def read_run(folder: Path) -> list[Seed]:
    """Read all finished seeds of a run, or the one whose folder this is.

    Raises:
        CheckpointError: If there is none, or a file is damaged.
    """
    finished = [s for s in seed_folders(folder) if (s / "metrics.json").is_file()]
    if not finished:
        raise CheckpointError(
            f"{folder} holds no finished run, no metrics.json, nor a study"
            + _runs_below(folder)
        )
    return [_read_seed(seed) for seed in finished]


def _runs_below(folder: Path) -> str:
    """Say which runs lie deeper, the first few of them."""
    found = {file.parent.parent for file in folder.rglob("seed-*/metrics.json")}
    names = [str(run) for run in sorted(found)[:SHOWN]]
    more = ["..."] * (len(found) > SHOWN)
    return f"; there are {', '.join(names + more)}" if found else ""


def read_study(folder: Path) -> Study:
    """Read a study.

    Raises:
        CheckpointError: If no trial has ended yet, or a file is damaged.
    """
    if not (folder / "summary.json").is_file():
        raise CheckpointError(f"{folder}: no summary.json, no trial has ended yet")
    summary = _parsed(folder / "summary.json", _object)
    rows = _parsed(folder / "trials.csv", _rows)
    _need(folder / "summary.json", summary, "model", "loss", "data", "monitor", "best")
    _need(folder / "trials.csv", (rows or [{}])[0], "trial", "state", "value")
    return Study(summary, rows)


def _read_seed(folder: Path) -> Seed:
    seed = read_seed(folder)
    _need(folder / "metrics.json", seed.record, "best_epoch", "device")
    history = _parsed(folder / "history.jsonl", _lines)
    return Seed(seed.folder, seed.config, seed.record, history)


def _parsed(path: Path, parse: Callable[[str], T]) -> T:
    """Parse a file, and name it in the error if that fails."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError, RecursionError, csv.Error) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error


def _object(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise TypeError("expected a JSON object")
    return found


def _lines(text: str) -> pd.DataFrame:
    """Read one JSON object a line; a value that is no number is an error."""
    rows = [_object(line) for line in text.splitlines()]
    return pd.DataFrame(rows, columns=["epoch"] if not rows else None).astype(float)


def _rows(text: str) -> list[Row]:
    return list(csv.DictReader(io.StringIO(text), restkey="", restval=""))


def _need(path: Path, found: dict[str, Any], *names: str) -> None:
    for name in names:
        if name not in found:
            raise CheckpointError(f"{path} is damaged: it has no '{name}'")
