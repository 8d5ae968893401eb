"""The training state between two epochs, in memory and on disk."""

import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.training.checkpoint import read_tensors, write_tensors
from pyg_advinfonce.training.trainer import Callback, Record, Trainer

FORMAT_VERSION = 2
SECONDS_BETWEEN_WRITES = 30.0


@dataclass(frozen=True)
class TrainingState:
    """A trainer between two epochs: weights, optimisers, the best so far, the history.

    Random numbers are not part of it: a trainer draws them from the seed, the epoch and
    the phase alone. So a trainer that is given this state goes on, on the CPU bit for
    bit, as the one that it was taken from.

    Attributes:
        tensors: Copies of what changes, by name.
        about: The rest, as JSON can say it. Hyperparameters of an optimiser's groups
            are not: they are its phase's.
    """

    tensors: Mapping[str, Tensor]
    about: Mapping[str, Any]

    @classmethod
    def of(cls, trainer: Trainer) -> "TrainingState":
        """Copy a trainer's state after an epoch."""
        moving = {f"method/{n}": t for n, t in trainer.method.state_dict().items()}
        plain: list[dict[str, Any]] = []  # what an optimiser remembers beside tensors
        for place, (_, optimizer) in enumerate(trainer.phases):
            known = dict(_memory(optimizer))
            tensors = {n: v for n, v in known.items() if isinstance(v, Tensor)}
            moving |= {f"phase/{place}/{n}": t for n, t in tensors.items()}
            plain.append({n: v for n, v in known.items() if n not in tensors})
        copies = {n: t.detach().to("cpu", copy=True) for n, t in moving.items()}
        stopping = trainer.stopping
        copies |= {f"best/{n}": t for n, t in stopping.best.items()}  # never changed
        # Records stay as they are: deep copies of all would outlast a short epoch.
        history = [dict(vars(record)) for record in trainer.history]
        about = {"stopping": stopping.state(), "history": history, "optimizers": plain}
        return cls(copies, about)

    def restore(self, trainer: Trainer) -> None:
        """Give a new trainer of the same settings this state.

        Raises:
            CheckpointError: If it is of other settings.
        """
        try:
            trainer.method.load_state_dict(self._part("method"))
            known = zip(trainer.phases, self.about["optimizers"], strict=True)
            for place, ((_, optimizer), plain) in enumerate(known):
                _remember(optimizer, {**self._part(f"phase/{place}"), **plain})
            trainer.stopping.load_state(self.about["stopping"], self._part("best"))
            trainer.history = [Record(**record) for record in self.about["history"]]
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise CheckpointError(f"the state is of another run: {reason}") from error

    def _part(self, name: str) -> dict[str, Tensor]:
        prefix = f"{name}/"
        return {
            n.removeprefix(prefix): t
            for n, t in self.tensors.items()
            if n.startswith(prefix)
        }


def _memory(optimizer: Optimizer) -> Iterator[tuple[str, Any]]:
    """Yield what an optimiser remembers, by the parameter's place and its own name."""
    for place, known in optimizer.state_dict()["state"].items():
        for name, value in known.items():
            yield f"{place}/{name}", value


def _remember(optimizer: Optimizer, memory: Mapping[str, Any]) -> None:
    state: dict[int, dict[str, Any]] = {}
    for name, value in memory.items():
        place, key = name.split("/")
        state.setdefault(int(place), {})[key] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})


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
