"""Reading a study of ``advnce tune`` from its folder."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field

from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.files import read_bytes
from pyg_advinfonce.runs import STUDY, SUMMARY, TRIALS
from pyg_advinfonce.schema import (
    MAX_BYTES,
    Count,
    FileData,
    Number,
    check_values,
    read_json,
)


class Best(FileData):
    """The best trial of a study."""

    trial: Count
    value: Number
    best_epoch: Count
    params: dict[str, bool | int | Number | str]


class Summary(FileData):
    """The content of a study's ``summary.json`` that a report shows."""

    model: str
    loss: str
    data: str
    fingerprint: str
    monitor: str
    epochs: Count
    seed: Count
    best: Best | None
    default_value: Number | None
    seconds: Number
    versions: dict[str, str]


class Trial(FileData):
    """One line of ``trials.csv``; its settings are texts by name."""

    model_config = ConfigDict(strict=False)

    trial: Count
    state: Literal["complete", "pruned", "failed", "interrupted"]
    value: Number | None
    default: bool
    best_epoch: Count | None
    epochs: Count | None
    seconds: Number | None
    error: str | None
    params: dict[str, str] = Field(repr=False)


Row = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """A study of ``advnce tune``: ``summary.json``, and the rows of ``trials.csv``."""

    summary: Summary
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
    return Study(read_json(about, Summary), _trials(table))


def _trials(path: Path) -> list[Row]:
    try:
        text = read_bytes(path, MAX_BYTES, CheckpointError).decode()
        lines = [*csv.DictReader(io.StringIO(text), restval="")]
    except (UnicodeDecodeError, csv.Error) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    rows = []
    for number, line in enumerate(lines, 2):
        cells: Row = {name: text or None for name, text in line.items() if name}
        cells["params"] = {name: line[name] for name in cells if "." in name}
        rows.append(check_values(f"{path}:{number}", cells, Trial).model_dump())
    return rows
