"""Early stopping that keeps the best weights."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class EarlyStopping:
    """Keeps the weights of the best score; says when to stop waiting for a better one.

    Args:
        patience: How many scores in a row may fail to be strictly greater.

    Attributes:
        best: The best weights, copies that are replaced and never changed.
    """

    def __init__(self, patience: int) -> None:
        if patience < 1:
            raise ValueError(f"patience must be positive (got {patience})")
        self.patience = patience
        self.best_score, self.best_epoch, self.num_bad = float("-inf"), -1, 0
        self.best: dict[str, Tensor] = {}

    @property
    def should_stop(self) -> bool:
        """Whether patience is exhausted."""
        return self.num_bad >= self.patience

    def update(self, score: float, epoch: int, module: nn.Module) -> None:
        """Take note of a score and, if it is the best, of the weights."""
        if not score > self.best_score:
            self.num_bad += 1
            return
        self.best_score, self.best_epoch, self.num_bad = score, epoch, 0
        self.best = {n: t.detach().clone() for n, t in module.state_dict().items()}

    def restore(self, module: nn.Module) -> None:
        """Give a module the best weights, if there are any."""
        if self.best:
            module.load_state_dict(self.best)

    def state(self) -> dict[str, Any]:
        """Return all but the best weights, as JSON can say it."""
        names = ("best_score", "best_epoch", "num_bad")
        return {name: getattr(self, name) for name in names}

    def load_state(self, state: Mapping[str, Any], best: dict[str, Tensor]) -> None:
        """Go on from another one's :meth:`state` and best weights."""
        self.best_score = float(state["best_score"])
        self.best_epoch, self.num_bad = int(state["best_epoch"]), int(state["num_bad"])
        self.best = best
