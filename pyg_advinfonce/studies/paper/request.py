"""Request and result of a reproduction of a table or figure."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from pyg_advinfonce.config import Config, Sections
from pyg_advinfonce.datasets import Dataset
from pyg_advinfonce.errors import CheckpointError, ConfigError, DataError
from pyg_advinfonce.graph import test_splits
from pyg_advinfonce.runs import (
    RUNS,
    FinishedSeed,
    continue_run_folder,
    find_seeds,
    read_seed,
)


@dataclass(frozen=True)
class Request:
    """A table, row or figure to reproduce.

    Attributes:
        name: A name of :data:`pyg_advinfonce.registry.REPRODUCTIONS`, or a row such as
            ``coat/lightgcn-adv``.
        seeds: The seeds of every run.
        device: The device of every run.
        out: The folder of runs and files; existing runs are reused (default:
            ``runs/reproduce``).
        data: The one data set to run on (default: those of the paper).
        layers: Settings of every run.
        data_root: As ``root`` of :func:`~pyg_advinfonce.datasets.load_dataset`.
        cache_dir: The folder of processed data (default: in the user's cache folder).
        against: The baseline row (default: the paper's).
        check: Only compare the existing runs with the paper: nothing is trained or
            written.
    """

    name: str
    seeds: Sequence[int]
    device: torch.device
    out: Path | None = None
    data: str | None = None
    layers: Sequence[Sections] = ()
    data_root: Path | None = None
    cache_dir: Path | None = None
    against: str | None = None
    check: bool = False

    @property
    def folder(self) -> Path:
        """The folder of the files; it may not exist yet."""
        return self.out or Path("runs", "reproduce")

    @property
    def runs(self) -> Path:
        """The folder of all runs, in :attr:`folder`."""
        return self.folder / RUNS

    @cached_property
    def elsewhere(self) -> list[FinishedSeed]:
        """The finished seeds of other runs, at any depth below ``runs``."""
        found = []
        for seed in find_seeds(Path("runs")):
            if not seed.resolve().is_relative_to(self.runs.resolve()):
                with suppress(CheckpointError, ConfigError):
                    found.append(read_seed(seed))
        return found

    def make_folders(self) -> None:
        """Make :attr:`folder` and :attr:`runs`, unless they exist.

        Raises:
            ConfigError: If the folder holds something else, or cannot be written.
        """
        continue_run_folder(self.folder, self.folder.name, mark=RUNS)
        self.runs.mkdir(exist_ok=True)

    def load(self, config: Config) -> Dataset:
        """Load the data that a configuration names.

        Raises:
            DataError: If the data is missing or wrong, or has no test split.
        """
        dataset = config.load_dataset(self.data_root, self.cache_dir)
        if not test_splits(dataset.graph):
            raise DataError(
                f"{config.data.name} has no test split, which {self.name} needs"
            )
        return dataset


@dataclass(frozen=True)
class Reproduction:
    """The result of a reproduction.

    Attributes:
        title: The title, one line.
        head: Facts about all rows: names and texts.
        cells: The table's header and rows, as text.
        notes: Notes below the table.
        summary: The whole result as a JSON-ready object.
        succeeded: False if a run failed. With ``check``, also False if a run is missing
            or its numbers differ from the paper's by more than the tolerance.
    """

    title: str
    head: Sequence[tuple[str, str]]
    cells: Sequence[Sequence[str]]
    notes: Sequence[str]
    summary: dict[str, Any]
    succeeded: bool = True
