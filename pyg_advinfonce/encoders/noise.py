"""Noise on embeddings."""

import torch
from torch import Tensor, nn

from pyg_advinfonce.functional import unit_rows


class UniformNoise(nn.Module):
    r"""Push each row a fixed distance within its own orthant, as in `"Are Graph
    Augmentations Necessary? Simple Graph Contrastive Learning for Recommendation"
    <https://arxiv.org/abs/2112.08679>`_.

    .. math::
        x' = x + \epsilon \, \mathrm{sign}(x) \odot r / |r|, \quad r \sim U[0, 1)^D

    Args:
        eps: The length of the push.

    Shapes:
        - **x:** ``[N, D]``; **output:** ``[N, D]``
    """  # noqa: D205

    def __init__(self, eps: float) -> None:
        super().__init__()
        if not 0 <= eps < float("inf"):
            raise ValueError(f"eps must not be negative (got {eps})")
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        push = unit_rows(torch.rand_like(x)).to(x.dtype)
        return torch.addcmul(x, push, x.detach().sign(), value=self.eps)
