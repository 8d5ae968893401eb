"""A training's state on disk, from epoch to epoch."""

import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.training.callbacks import Callback, Record
from pyg_advinfonce.training.tensor_file import read_tensors, write_tensors
from pyg_advinfonce.training.trainer import Trainer
from pyg_advinfonce.training.training_state import TrainingState

FORMAT_VERSION = 1
SECONDS_BETWEEN_WRITES = 30.0


class StateFile(Callback):
    """Keeps the state of the last finished epoch and writes it now and then.

    It belongs after all callbacks that add to an epoch's record. A write that fails is
    a warning: the file keeps the state that it has.

    Args:
        path: The file.
        run: What the state belongs to, as JSON can say it: settings, data, device.
        every: Write after so many epochs (default: after an epoch, when 30 seconds have
            passed since the last time).
    """

    def __init__(
        self, path: Path, run: Mapping[str, Any], *, every: int | None = None
    ) -> None:
        if every is not None and every < 1:
            raise ValueError(f"every must be at least one epoch (got {every})")
        self.path, self.run, self.every = path, dict(run), every
        self.state: TrainingState | None = None
        self._written = time.monotonic()

    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
        self.state = TrainingState.of(trainer)
        if self._is_due(record.epoch + 1):
            self.write()

    def write(self) -> None:
        """Write the last finished epoch's state, if there is one."""
        if self.state is None:
            return
        self._written = time.monotonic()
        about = {"format": FORMAT_VERSION, "run": self.run, **self.state.about}
        try:
            write_tensors(self.path, self.state.tensors, about)
        except OSError as error:
            warnings.warn(
                f"the training state was not saved, an earlier one may remain: {error}",
                stacklevel=2,
            )

    def _is_due(self, done: int) -> bool:
        if self.every is not None:
            return done % self.every == 0
        return time.monotonic() - self._written >= SECONDS_BETWEEN_WRITES


def read_state(path: Path) -> tuple[TrainingState, dict[str, Any]]:
    """Read a state, and what it belongs to.

    Raises:
        CheckpointError: If the file is missing, damaged or of a newer version.
    """
    tensors, about = read_tensors(path)
    version = about.get("format")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: expected a training state of format {FORMAT_VERSION} "
            f"(got {version}): it was written by another version of this library"
        )
    return TrainingState(tensors, about), about["run"]
