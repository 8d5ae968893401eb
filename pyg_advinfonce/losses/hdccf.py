"""HDCCF loss."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.functional import check_positive, debiased_mass, unit_tables
from pyg_advinfonce.losses.base import Criterion, positive_rows, refuse_neg_rows
from pyg_advinfonce.ops import log_partitions, total


class HDCCF(Criterion):
    r"""Debiased contrast with the batch's other items and users, a reconstruction of
    `"Trading Hard Negatives and True Negatives: A Debiased Contrastive Collaborative
    Filtering Approach" <https://arxiv.org/abs/2204.11752>`_.

    .. math::
        \mathcal{L} = -\frac{1}{B} \sum_b \log \frac{e^{s_{ui}}}{e^{s_{ui}}
        + Z(s_{u \cdot}; \{j\}) + Z(s_{\cdot i}; \{v\})
        + Z(s_{i \cdot}; \{j\}) + Z(s_{u \cdot}; \{v\})}

        Z(f; S) = |S| \max\Bigl(\frac{1}{1 - \omega} \Bigl(\frac{1}{|S|}
        \sum_{k \in S} e^{f_k} - \omega e^{s_{ui}}\Bigr), e^{-1 / \tau}\Bigr)

    The negatives ``(v, j)`` are the other pairs of the batch, whose items and users
    occur by frequency if train pairs are sampled (``train.sampling = "interaction"``);
    items equal to ``i`` and users equal to ``u`` are left out. No public code was
    found, and only the abstract (Yang et al., IJCAI 2022) was available: the equations
    are a reading of it (docs/methods.md 2.10).

    Args:
        tau: Temperature.
        omega: Fraction of false negatives among the negatives, in [0, 1).
        users: Include the terms of ``{v}``, contrasts with other users.
        same_type: Include item-item and user-user contrasts.

    Shapes:
        - **z_user:** ``[U, D]``, **z_item:** ``[I, D]``; **output:** a scalar
    """  # noqa: D205

    negatives = "in_batch"

    def __init__(
        self,
        tau: float = 0.2,
        *,
        omega: float = 0.01,
        users: bool = True,
        same_type: bool = True,
    ) -> None:
        super().__init__()
        if not 0 <= omega < 1:
            raise ValueError(f"omega must be in [0, 1) (got {omega})")
        check_positive(tau=tau)
        self.tau, self.omega = tau, omega
        self.users, self.same_type = users, same_type

    def forward(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        refuse_neg_rows(batch)
        user, item = unit_tables(*positive_rows(z_user, z_item, batch))  # [B, D]
        pos = total(torch.linalg.vecdot(user, item)) / self.tau  # [B]
        items = [user, item] if self.same_type else [user]
        mass = self._masses(pos, items, item, batch.dst_pos_index)
        if self.users:
            users = [item, user] if self.same_type else [item]
            mass += self._masses(pos, users, user, batch.src_index)
        return softplus(torch.stack(mass).logsumexp(0) - pos).mean()

    def _masses(
        self, pos: Tensor, anchors: list[Tensor], nodes: Tensor, index: Tensor
    ) -> list[Tensor]:
        """Return the log masses ``[B]`` of scores with other nodes ``[B, D]``."""
        equal = index == index.unsqueeze(-1)  # [B, B]
        # Counted without torch.unique, which waits for a GPU.
        index = index.contiguous()
        ordered = index.sort().values
        first, end = (
            torch.searchsorted(ordered, index, right=r) for r in (False, True)
        )
        number = len(index) - (end - first)  # [B]
        sums = (log_partitions(x / self.tau, nodes, equal) for x in anchors)
        return [debiased_mass(pos, s, number, self.omega, -1 / self.tau) for s in sums]
