"""All that one epoch of a training leaves to the next."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.training.callbacks import Record
from pyg_advinfonce.training.trainer import Trainer


@dataclass(frozen=True)
class TrainingState:
    """A trainer between two epochs: weights, optimisers, the best so far, the history.

    Random numbers are not part of it: a trainer draws them from the seed, the epoch and
    the phase alone. So a trainer that is given this state goes on, on the CPU bit for
    bit, as the one that it was taken from.

    Attributes:
        tensors: Copies of what changes, by name.
        about: The rest, as JSON can say it.
    """

    tensors: Mapping[str, Tensor]
    about: Mapping[str, Any]

    @classmethod
    def of(cls, trainer: Trainer) -> "TrainingState":
        """Copy a trainer's state after an epoch."""
        moving = {f"method/{n}": t for n, t in trainer.method.state_dict().items()}
        for place, (_, optimizer) in enumerate(trainer.phases):
            moving |= dict(_moments(optimizer, f"phase/{place}"))
        tensors = {n: t.detach().to("cpu", copy=True) for n, t in moving.items()}
        stopping = trainer.stopping
        tensors |= {f"best/{n}": t for n, t in stopping.best.items()}  # never changed
        # Records stay as they are: deep copies of all would outlast a short epoch.
        history = [dict(vars(record)) for record in trainer.history]
        return cls(tensors, {"stopping": stopping.state(), "history": history})

    def restore(self, trainer: Trainer) -> None:
        """Give a new trainer of the same settings this state.

        Raises:
            CheckpointError: If it is of other settings.
        """
        try:
            trainer.method.load_state_dict(self._part("method"))
            for place, (_, optimizer) in enumerate(trainer.phases):
                _restore_moments(optimizer, self._part(f"phase/{place}"))
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


def _moments(optimizer: Optimizer, prefix: str) -> Iterator[tuple[str, Tensor]]:
    """Yield what an optimiser remembers, by the parameter's place and its own name."""
    for place, known in optimizer.state_dict()["state"].items():
        for name, value in known.items():
            yield f"{prefix}/{place}/{name}", value


def _restore_moments(optimizer: Optimizer, moments: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in moments.items():
        place, key = name.split("/")
        state.setdefault(int(place), {})[key] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
