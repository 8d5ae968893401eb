"""Trackers: every epoch's record handed to an outside service."""

import warnings
from collections.abc import Callable
from pathlib import Path

from pyg_advinfonce.errors import optional_package
from pyg_advinfonce.training.trainer import Callback, Record, Trainer


class Tracker(Callback):
    """Hands every epoch's record to a service or a file outside of the run.

    A subclass writes :meth:`write` and :meth:`release` and may fail there: a warning
    says so once, nothing more is written, and training continues. The run's own
    ``history.jsonl`` has it all.

    Attributes:
        requires: A package that it needs, if any; its extra is named if it is missing.
    """

    requires: str = ""
    has_failed: bool = False

    def write(self, record: Record) -> None:
        """Write one epoch's record."""
        raise NotImplementedError(f"{type(self).__name__} has no write")

    def release(self) -> None:
        """Release what is open."""

    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
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


class TensorBoard(Tracker):
    """Writes every number of a history to an event file of TensorBoard.

    Args:
        folder: Where the event file goes.

    Raises:
        MissingExtraError: If tensorboard is not installed.
    """

    requires = "tensorboard"

    def __init__(self, folder: Path) -> None:
        optional_package(self.requires)
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder))

    def write(self, record: Record) -> None:
        for name, value in record.flat().items():
            if name != "epoch" and value is not None:
                self.writer.add_scalar(name, value, record.epoch)
        self.writer.flush()

    def release(self) -> None:
        self.writer.close()
