"""When an adversary has gone too far."""

import warnings

import torch
from torch import Tensor, nn

from pyg_advinfonce.functional import kl_to_uniform


class KLBound(nn.Module):
    r"""Remembers whether hardness has left the ball :math:`KL(P_0 \| P) \le` limit.

    The paper's Theorem 3.1 reads AdvInfoNCE as a robust loss over such a ball; a few
    adversarial epochs are all that keeps the hardness in it.

    Args:
        limit: The largest divergence from uniform that passes.
    """

    exceeded: Tensor  # [] saved with the loss, so that a resumed run knows

    def __init__(self, limit: float) -> None:
        super().__init__()
        if not limit > 0:
            raise ValueError(f"max_kl must be positive (got {limit})")
        self.limit, self._told = limit, False
        self.register_buffer("exceeded", torch.tensor(False, device="cpu"))

    @torch.no_grad()
    def watch(self, delta: Tensor, mask: Tensor | None) -> None:
        """Take note of a batch's hardness ``[B, K]``, without waiting for a GPU."""
        kept = delta if mask is None else delta[mask]
        self.exceeded.logical_or_(kl_to_uniform(kept)[0] > self.limit)

    def warn(self) -> None:
        """Say once that the limit has been exceeded, if it has."""
        if self._told or not self.exceeded:
            return
        self._told = True
        warnings.warn(
            "the adversary takes no more turns: its divergence from uniform hardness "
            f"exceeded loss.max_kl = {self.limit}",
            stacklevel=2,
        )
