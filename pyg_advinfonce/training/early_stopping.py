"""Early stopping that keeps the best weights."""

import torch
from torch import Tensor, nn


class EarlyStopping:
    """Keeps the weights of the best score; says when to stop waiting for a better one.

    Args:
        patience: How many scores in a row may fail to be strictly greater.
    """

    def __init__(self, patience: int) -> None:
        if patience < 1:
            raise ValueError(f"patience must be positive (got {patience})")
        self.patience = patience
        self.best_score, self.best_epoch, self.num_bad = float("-inf"), -1, 0
        self._state: dict[str, Tensor] = {}

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
        with torch.no_grad():
            for name, value in module.state_dict().items():
                if name in self._state:
                    self._state[name].copy_(value)
                else:
                    self._state[name] = value.clone()

    def restore(self, module: nn.Module) -> None:
        """Give a module the best weights, if there are any."""
        if self._state:
            module.load_state_dict(self._state)
