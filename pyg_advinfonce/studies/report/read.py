"""Reading a study of ``advnce tune`` from its folder."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.runs import STUDY, SUMMARY, TRIALS

Row = dict[str, str]
T = TypeVar("T")


@dataclass(frozen=True)
class Study:
    """A study of ``advnce tune``: ``summary.json``, and ``trials.csv`` as texts."""

    summary: dict[str, Any]
    trials: list[Row]


def is_study(folder: Path) -> bool:
    """Whether a folder holds a study of ``advnce tune``."""
    return any((folder / name).exists() for name in (STUDY, TRIALS))


def read_study(folder: Path) -> Study:
    """Read a study.

    Raises:
        CheckpointError: If no trial has ended yet, or a file is damaged.
    """
    about, table = folder / SUMMARY, folder / TRIALS
    if not about.is_file():
        raise CheckpointError(f"{folder} has no {SUMMARY}: no trial has ended yet")
    summary, rows = _parsed(about, _object), _parsed(table, _rows)
    _need(about, summary, "model", "loss", "data", "monitor", "best")
    _need(table, (rows or [{}])[0], "trial", "state", "value")
    return Study(summary, rows)


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


def _rows(text: str) -> list[Row]:
    return list(csv.DictReader(io.StringIO(text), restkey="", restval=""))


def _need(path: Path, found: dict[str, Any], *names: str) -> None:
    for name in names:
        if name not in found:
            raise CheckpointError(f"{path} is damaged: it has no '{name}'")
