"""The metrics of every user of a split."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class UserMetrics:
    """What each ranked user of a split got.

    Attributes:
        split: The split.
        user: The users, ascending ``[N]``.
        values: By metric, ``recall@20`` and so on: a value a user ``[N]``.
    """

    split: str
    user: Tensor
    values: Mapping[str, Tensor]

    def means(self) -> dict[str, float]:
        """Return the means over users, ``{"valid/recall@20": ..., ...}``."""
        sums = torch.stack([value.sum() for value in self.values.values()])
        means: list[float] = (sums / len(self.user)).tolist()
        return {f"{self.split}/{n}": v for n, v in zip(self.values, means, strict=True)}
