"""What runs a folder holds, and what is known of each."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import CheckpointError, ConfigError
from pyg_advinfonce.files import is_locked, not_found, write_text
from pyg_advinfonce.runs.finished import FinishedSeed, read_seed
from pyg_advinfonce.runs.folder import (
    CONFIG,
    HISTORY,
    LOCK,
    METRICS,
    STARTS,
    STUDY,
    SUMMARY,
    is_seed_name,
    no_run,
    seed_folders,
)
from pyg_advinfonce.schema import FileData, read_json
from pyg_advinfonce.version import __version__


class Start(FileData):
    """A start of a training.

    Attributes:
        date: The date and time in UTC, ``2026-01-31 12:00``.
        command: The command.
        version: The version of this library.
    """

    date: str
    command: str
    version: str


class Starts(FileData):
    """The content of ``run.json``, which is not published with a run.

    Attributes:
        starts: The first start and those that resumed it.
        data: The absolute path of the table or folder of the data, None without one.
    """

    starts: list[Start]
    data: str | None = None


def note_start(folder: Path, data: Path | None, *, again: bool) -> None:
    """Write date, command and version of a training, and where its data is.

    Args:
        folder: The seed's folder.
        data: The absolute path of the data's table or folder, if any.
        again: Keep the earlier starts, since the training is resumed.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    new = Start(date=now, command=command, version=__version__)
    earlier = read_starts(folder) if again else []
    place = None if data is None else str(data)
    text = Starts(starts=[*earlier, new], data=place).model_dump_json(indent=2)
    write_text(folder / STARTS, text + "\n")


def read_starts(folder: Path | str) -> list[Start]:
    """Return the starts of a seed's training, none of one by an earlier version.

    Raises:
        CheckpointError: If the file is damaged.
    """
    return _read(folder).starts


def data_place(folder: Path | str) -> Path | None:
    """Return where the data of a seed was when it was trained, if that is known.

    Raises:
        CheckpointError: If the file is damaged.
    """
    place = _read(folder).data
    return None if place is None else Path(place)


def _read(folder: Path | str) -> Starts:
    file = Path(folder) / STARTS
    return read_json(file, Starts) if file.is_file() else Starts(starts=[])


@dataclass(frozen=True)
class Run:
    """A run on disk.

    Attributes:
        folder: Its folder, or that of its only seed.
        config: The settings of its first seed.
        seeds: The finished seeds.
        num_seeds: The number of seeds, finished or not.
        starts: The starts of its first seed.
        state: ``running`` if a process is training it by ``advnce train``, else
            ``interrupted`` until all seeds are finished.
    """

    folder: Path
    config: Config
    seeds: Sequence[FinishedSeed]
    num_seeds: int
    starts: Sequence[Start]
    state: Literal["finished", "running", "interrupted"]


def find_run(folder: Path | str) -> Run:
    """Return what is known of a run, finished or not.

    Raises:
        CheckpointError: If the folder holds no run, or a file is damaged.
        ConfigError: If its settings are not of this version.
    """
    folder = Path(folder)
    seeds = [seed for seed in seed_folders(folder) if (seed / CONFIG).is_file()]
    if not seeds and (folder / STUDY).is_file():
        path = shlex.quote(str(folder))
        raise CheckpointError(
            f"{folder} is a study: see it by `advnce ls runs {path}`, or by `advnce "
            f"report {path}`"
        )
    if not seeds:
        raise no_run(folder, CONFIG)
    finished = [read_seed(seed) for seed in seeds if (seed / METRICS).is_file()]
    is_running = is_locked(folder / LOCK)
    ended: Literal["finished", "interrupted"] = "interrupted"
    if len(finished) == len(seeds):
        ended = "finished"
    return Run(
        folder,
        Config.load(seeds[0] / CONFIG),
        finished,
        len(seeds),
        read_starts(seeds[0]),
        "running" if is_running else ended,
    )


def find_seeds(root: Path | str) -> list[Path]:
    """Return the folders of all seeds at any depth below a folder."""
    root = Path(root)
    return sorted(
        file.parent
        for file in root.rglob(CONFIG)
        if is_seed_name(file.parent.name) or (file.parent / HISTORY).is_file()
    )


def list_runs(root: Path | str) -> tuple[list[Run], list[str]]:
    """Return the runs at any depth below a folder, and problems with others.

    Raises:
        ConfigError: If the folder does not exist.
    """
    root = Path(root)
    if not root.is_dir():
        message = not_found(root, "folder")
        raise ConfigError(f"{message}: name the folder of your runs")
    runs, problems = [], []
    for folder, _ in groupby(map(_run_of, find_seeds(root))):
        try:
            runs.append(find_run(folder))
        except (CheckpointError, ConfigError) as error:
            problems.append(str(error))
    return runs, problems


class StudySummary(FileData):
    """What ``summary.json`` of a study tells in a list.

    Attributes:
        model: The model.
        loss: The loss.
        data: The data set.
        monitor: The metric that selects.
        trials: The number of trials by state.
        best: The best trial, if one is complete.
    """

    model: str
    loss: str
    data: str
    monitor: str
    trials: dict[str, int]
    best: dict[str, Any] | None


def list_studies(
    root: Path | str,
) -> tuple[dict[Path, StudySummary | None], list[str]]:
    """Return the studies at any depth below a folder, and problems with others.

    The summary of a study without an ended trial is None.
    """
    found: dict[Path, StudySummary | None] = {}
    problems = []
    for file in sorted(Path(root).rglob(STUDY)):
        about = file.with_name(SUMMARY)
        try:
            found[file.parent] = (
                read_json(about, StudySummary) if about.is_file() else None
            )
        except CheckpointError as error:
            problems.append(str(error))
    return found, problems


def _run_of(seed: Path) -> Path:
    return seed.parent if is_seed_name(seed.name) else seed
