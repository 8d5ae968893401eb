"""Scores of items for users, the input of ranking."""

from typing import Protocol

import torch
from torch import Tensor


class Scorer(Protocol):
    """Protocol of objects that score all items for some users.

    Evaluation and recommendation need only this method. A scorer needs no embeddings:
    item neighbourhoods, linear autoencoders and popularity can implement it.
    """

    def scores(self, user: Tensor) -> Tensor:
        """Return scores ``[n, I]``, higher is better; they are ranked in float32.

        Callers do not modify the result, so it may be a view of persistent state.

        Args:
            user: ``[n]`` row numbers of users, on the graph's device.
        """


class EmbeddingScores:
    """Scores by dot products of embeddings, in float32.

    Args:
        z_user: ``[U, D]`` user embeddings.
        z_item: ``[I, D]`` item embeddings.
        first: Row number of the first of these users, if they are a share of all.

    Raises:
        ValueError: If the tables are not matrices with the same embedding dimension.
    """

    def __init__(
        self, z_user: Tensor, z_item: Tensor, *, first: int | None = None
    ) -> None:
        if not z_user.dim() == z_item.dim() == 2 or z_user.size(1) != z_item.size(1):
            raise ValueError(
                "expected embeddings [U, D] of users and [I, D] of items "
                f"(got {list(z_user.shape)} and {list(z_item.shape)})"
            )
        self.z_user, self.z_item = z_user.detach(), z_item.detach().float()
        self.first = first

    def among(self, item: Tensor) -> "EmbeddingScores":
        """Restrict the scores to some items ``[C]``."""
        return EmbeddingScores(self.z_user, self.z_item[item], first=self.first)

    def scores(self, user: Tensor, *, out: Tensor | None = None) -> Tensor:
        """Return scores ``[n, I]``, written to ``out`` if given."""
        if out is None:
            out = self.z_item.new_empty(len(user), len(self.z_item))
        # With out=, autocast leaves the product in float32.
        row = user - self.first if self.first else user
        return torch.mm(self.z_user[row].float(), self.z_item.T, out=out)
