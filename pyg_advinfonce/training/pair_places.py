"""Where pairs lie in a chunk of scores."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PairPlaces:
    """Pairs of users and candidates, sorted by user.

    Args:
        start: ``[U + 1]`` where each user's pairs begin.
        column: ``[M]`` the candidates' columns, 0 to C - 1.
        width: ``C``, the number of candidates.
    """

    start: Tensor
    column: Tensor
    width: int

    def of(self, user: Tensor) -> Tensor:
        """Return the positions of users' ``[n]`` pairs in their scores ``[n * C]``."""
        start, end = self.start[user], self.start[user + 1]  # [n]
        count = end - start
        row = torch.arange(len(user), device=user.device)
        row = row.repeat_interleave(count)  # [number of pairs]
        shift = start - count.cumsum(0) + count  # [n]
        place = torch.arange(len(row), device=user.device) + shift[row]
        return row * self.width + self.column[place]
