"""Telling others of a training, who may fail without harm."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from pyg_advinfonce.training.callbacks import Callback, Record

if TYPE_CHECKING:
    from pyg_advinfonce.training.trainer import Trainer


class Tracker(Callback):
    """Hands every epoch's record to a service or a file outside of the run.

    A subclass writes :meth:`write` and :meth:`release` and may fail there: a warning
    says so once, nothing more is written, and training continues. The run's own
    ``history.jsonl`` has it all.
    """

    has_failed: bool = False

    def write(self, record: Record) -> None:
        """Write one epoch's record."""
        raise NotImplementedError(f"{type(self).__name__} has no write")

    def release(self) -> None:
        """Release what is open."""

    def on_epoch_end(self, trainer: "Trainer", record: Record) -> None:
        if not self.has_failed:
            self._attempt(lambda: self.write(record), f"in epoch {record.epoch}")

    def close(self) -> None:
        """Release what is open, whether that succeeds or not."""
        self._attempt(self.release, "at the end")

    def _attempt(self, action: Callable[[], None], when: str) -> None:
        try:
            action()
        except Exception as error:  # whatever a service may raise
            if not self.has_failed:
                warnings.warn(
                    f"{type(self).__name__} failed {when} and is told no more: "
                    f"{type(error).__name__}: {error}",
                    stacklevel=3,
                )
            self.has_failed = True
