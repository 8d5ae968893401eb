"""Whom a study tells how it goes."""

from collections.abc import Mapping, Sequence
from typing import Any

from pyg_advinfonce.config import Config
from pyg_advinfonce.training.callbacks import Callback


class Watcher:
    """Told of every trial's start and end; this one says nothing."""

    def start(self, number: int, config: Config) -> Sequence[Callback]:
        """Return callbacks for a trial that begins."""
        return ()

    def finish(self, row: Mapping[str, Any]) -> None:
        """Take note of an ended trial, a row of ``trials.csv``."""
