"""Scores of items for users, which is all that ranking asks of a model."""

from typing import Protocol

import torch
from torch import Tensor


class Scorer(Protocol):
    """Whatever scores all items for some users.

    An item neighbourhood, a linear autoencoder or a table of popularities is one, and
    needs no embeddings: with this one method a model is evaluated and recommends.
    """

    def scores(self, user: Tensor) -> Tensor:
        """Return ``[n, I]`` numbers, the higher the better; float32 ranks them.

        They are only read, so a view or a table that lives on may be returned.

        Args:
            user: ``[n]`` rows of users, on the graph's device.
        """


class EmbeddingScores:
    """Scores by dot products of embeddings, in float32.

    Args:
        z_user: ``[U, D]``.
        z_item: ``[I, D]``.

    Raises:
        ValueError: If they are no tables of the same width.
    """

    def __init__(self, z_user: Tensor, z_item: Tensor) -> None:
        if not z_user.dim() == z_item.dim() == 2 or z_user.size(1) != z_item.size(1):
            raise ValueError(
                "expected embeddings [U, D] of users and [I, D] of items "
                f"(got {list(z_user.shape)} and {list(z_item.shape)})"
            )
        self.z_user, self.z_item = z_user.detach(), z_item.detach().float()

    def among(self, item: Tensor) -> "EmbeddingScores":
        """Return the scores of some items ``[C]`` alone."""
        return EmbeddingScores(self.z_user, self.z_item[item])

    def scores(self, user: Tensor, *, out: Tensor | None = None) -> Tensor:
        """Return ``[n, I]``, written into ``out`` where it is given."""
        if out is None:
            out = self.z_item.new_empty(len(user), len(self.z_item))
        # With a place to write to, autocast leaves the product in float32.
        return torch.mm(self.z_user[user].float(), self.z_item.T, out=out)
