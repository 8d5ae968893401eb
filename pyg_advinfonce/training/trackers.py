"""Trackers: export of epoch records to external services."""

import warnings
from collections.abc import Callable
from pathlib import Path

from pyg_advinfonce.errors import optional_package
from pyg_advinfonce.training.trainer import Callback, Record, Trainer


class Tracker(Callback):
    """Base class of trackers, which export every epoch's record.

    A subclass implements :meth:`write` and :meth:`release`. If one of them raises an
    error, the tracker warns once and is disabled, and training continues. The run's
    ``history.jsonl`` is complete in any case.

    Attributes:
        requires: Name of the required package, if any.
    """

    requires: str = ""
    has_failed: bool = False

    def write(self, record: Record) -> None:
        """Write one epoch's record."""
        raise NotImplementedError(f"{type(self).__name__} has no write")

    def release(self) -> None:
        """Release open resources."""

    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
        if not self.has_failed:
            self._attempt(lambda: self.write(record), f"in epoch {record.epoch}")

    def close(self) -> None:
        """Release open resources; an error becomes a warning."""
        self._attempt(self.release, "at the end")

    def _attempt(self, action: Callable[[], None], when: str) -> None:
        try:
            action()
        except Exception as error:  # a service may raise anything
            if not self.has_failed:
                warnings.warn(
                    f"{type(self).__name__} failed {when} and is disabled for this "
                    f"run: {type(error).__name__}: {error}",
                    stacklevel=3,
                )
            self.has_failed = True


class TensorBoard(Tracker):
    """Writes every number of the history to a TensorBoard event file.

    Args:
        folder: Folder of the event file.

    Raises:
        MissingExtraError: If tensorboard is not installed.
    """

    requires = "tensorboard"

    def __init__(self, folder: Path | str) -> None:
        folder = Path(folder)
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
