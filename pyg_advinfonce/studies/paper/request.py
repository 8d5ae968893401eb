"""What is asked of a reproduction, and what it answers, whatever it reproduces."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pyg_advinfonce.config import Config, Sections
from pyg_advinfonce.datasets import Dataset
from pyg_advinfonce.runs import RUNS, continue_run_folder


@dataclass(frozen=True)
class Request:
    """What to reproduce.

    Attributes:
        name: A name of :data:`pyg_advinfonce.registry.REPRODUCTIONS`, or a row such as
            ``coat/lightgcn-adv``.
        seeds: The seeds of every run.
        device: Where runs are trained.
        out: The folder where runs are kept and found again, and files are written
            (default: ``runs/reproduce``).
        data: The one data set to run on (default: those of the paper).
        layers: Settings that are changed in every run.
        data_root: The folder that holds the data sets' folders.
        cache_dir: Where processed data is kept (default: in the user's cache folder).
        against: The row that others are compared with (default: the paper's baseline).
        check: Train nothing, write nothing, judge what is there.
    """

    name: str
    seeds: Sequence[int]
    device: torch.device
    out: Path | None = None
    data: str | None = None
    layers: Sequence[Sections] = ()
    data_root: Path = Path("data")
    cache_dir: Path | None = None
    against: str | None = None
    check: bool = False

    @property
    def folder(self) -> Path:
        """Where files are written; it need not be there yet."""
        return self.out or Path("runs", "reproduce")

    @property
    def runs(self) -> Path:
        """The folder of all runs, in :attr:`folder`."""
        return self.folder / RUNS

    def make_folders(self) -> None:
        """Make :attr:`folder` and :attr:`runs`, unless they are there.

        Raises:
            ConfigError: If the folder holds something else, or cannot be written.
        """
        continue_run_folder(self.folder, self.folder.name, mark=RUNS)
        self.runs.mkdir(exist_ok=True)

    def load(self, config: Config) -> Dataset:
        """Load the data that a configuration names.

        Raises:
            DataError: If it is not there, or is wrong.
        """
        return config.load_dataset(self.data_root, self.cache_dir)


@dataclass(frozen=True)
class Reproduction:
    """What came of it.

    Attributes:
        title: One line.
        head: What one must know of all rows: names and texts.
        cells: The head of a table and its rows, as text.
        notes: What is to be said below.
        summary: All of it as a JSON-ready object.
        succeeded: False if a run failed or, in a check, is missing or off the paper.
    """

    title: str
    head: Sequence[tuple[str, str]]
    cells: Sequence[Sequence[str]]
    notes: Sequence[str]
    summary: dict[str, Any]
    succeeded: bool = True
