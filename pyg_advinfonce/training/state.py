"""Training state between two epochs, in memory and on disk."""

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
    """State of a trainer: weights, optimisers, best weights so far and history.

    The state has no random generators: a trainer draws from the seed, the epoch and the
    phase only. A trainer that continues from this state gives the same result as an
    uninterrupted one, bit-identical on the CPU.

    Attributes:
        tensors: Copies of all changing tensors, by name.
        about: The other values, JSON-serialisable, without the hyperparameters of the
            optimisers, which their phases define.
    """

    tensors: Mapping[str, Tensor]
    about: Mapping[str, Any]

    @classmethod
    def of(cls, trainer: Trainer) -> "TrainingState":
        """Copy a trainer's state after an epoch."""
        moving = {f"method/{n}": t for n, t in trainer.method.state_dict().items()}
        plain: list[dict[str, Any]] = []  # optimiser state besides tensors
        for place, (_, optimizer) in enumerate(trainer.phases):
            known = dict(_memory(optimizer))
            tensors = {n: v for n, v in known.items() if isinstance(v, Tensor)}
            moving |= {f"phase/{place}/{n}": t for n, t in tensors.items()}
            plain.append({n: v for n, v in known.items() if n not in tensors})
        copies = {n: t.detach().to("cpu", copy=True) for n, t in moving.items()}
        stopping = trainer.stopping
        copies |= {f"best/{n}": t for n, t in stopping.best.items()}  # never modified
        # Records are not modified; deep copies of all would take longer than an epoch.
        history = [dict(vars(record)) for record in trainer.history]
        about = {"stopping": stopping.state(), "history": history, "optimizers": plain}
        return cls(copies, about)

    def restore(self, trainer: Trainer) -> None:
        """Load this state into a new trainer with the same settings.

        Raises:
            CheckpointError: If the trainer has other settings.
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
            raise CheckpointError(f"state of another run: {reason}") from error

    def _part(self, name: str) -> dict[str, Tensor]:
        prefix = f"{name}/"
        return {
            n.removeprefix(prefix): t
            for n, t in self.tensors.items()
            if n.startswith(prefix)
        }


def _memory(optimizer: Optimizer) -> Iterator[tuple[str, Any]]:
    """Yield an optimiser's state values, named ``parameter index/key``."""
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
    """Keeps the state of the last finished epoch and writes it periodically.

    It must come after all callbacks that add to an epoch's record. A failed write is a
    warning, and the file keeps its previous state.

    Args:
        path: The file.
        run: Identity of the run, JSON-serialisable: settings, data, device.
        every: Number of epochs between writes (default: write after an epoch if the
            last write is at least 30 seconds ago).
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
        """Write the last finished epoch's state, if any."""
        if self.state is None:
            return
        self._written = time.monotonic()
        about = {"format": FORMAT_VERSION, "run": self.run, **self.state.about}
        try:
            write_tensors(self.path, self.state.tensors, about)
        except OSError as error:
            warnings.warn(
                f"cannot save the training state, a previous one may remain: {error}",
                stacklevel=2,
            )

    def _is_due(self, done: int) -> bool:
        if self.every is not None:
            return done % self.every == 0
        return time.monotonic() - self._written >= SECONDS_BETWEEN_WRITES


def read_state(path: Path) -> tuple[TrainingState, dict[str, Any]]:
    """Read a training state and the identity of its run.

    Raises:
        CheckpointError: If the file is missing, damaged or in another format.
    """
    tensors, about = read_tensors(path)
    version = about.get("format")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: expected a training state of format {FORMAT_VERSION} "
            f"(got {version}): resume with the version of pyg_advinfonce that wrote it"
        )
    return TrainingState(tensors, about), about["run"]
