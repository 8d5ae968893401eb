"""sDRO loss."""

from collections.abc import Sequence
from typing import Any, Literal, Self

import torch
from torch import Tensor
from torch.nn.functional import softplus
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.functional import check_choice, check_not_negative, check_positive
from pyg_advinfonce.graph import split_edges, train_degrees
from pyg_advinfonce.losses.base import (
    Criterion,
    batch_scores,
    in_batch_scores,
    sum_over_ranks,
)

POPULAR = 0.2  # fraction of items that count as popular


class SDRO(Criterion):
    r"""Sampled softmax that gives groups of users with a higher loss more weight, from
    `"Distributionally-robust Recommendations for Improving Worst-case User Experience"
    <https://doi.org/10.1145/3485447.3512255>`_.

    .. math::
        \mathcal{L} = \sum_g w_g \mathcal{L}_g, \quad
        w_g \leftarrow \mathrm{softmax}_g(\log w_g + \eta \hat{\mathcal{L}}_g), \quad
        \hat{\mathcal{L}}_g \leftarrow
        (1 - \beta) \hat{\mathcal{L}}_g + \beta \mathcal{L}_g

    A group's loss is the mean InfoNCE of its rows in the batch. A group without rows
    has loss 0 and keeps its streaming loss. Weights and streaming losses have no
    gradient. Users are grouped by the fraction of popular items among their train
    items; popular items are the 20 % with the most train pairs.

    If a process group of several ranks is initialised, the weights and streaming losses
    are those of all ranks' rows together, summed in every training call; the loss of a
    rank is that of its own rows.

    Args:
        popular_ratio: ``[U]`` fraction of popular items per user.
        tau: Temperature.
        thresholds: Ascending lower bounds of all groups but the first. By default a
            user is niche below the first threshold, blockbuster from the second on, and
            diverse in between.
        group_lr: :math:`\beta`, step size of the streaming losses, in [0, 1].
        eta: :math:`\eta`, step size of the weights.
        scale_by_batch: Multiply the loss by the batch size, as the port in InvCF's
            code does; this changes its balance with the L2 penalty
            (docs/methods.md D13).
        negatives: ``sampled`` contrasts with the batch's negatives, ``in_batch`` with
            the other positives of the batch.
        mask_hits: Leave a row's own positive out of its ``in_batch`` negatives where
            other rows have it too. InvCF's authors keep it (docs/methods.md 2.2).

    Shapes:
        - **z_user:** ``[U, D]``, **z_item:** ``[I, D]``; **output:** a scalar
    """  # noqa: D205

    group: Tensor
    group_loss: Tensor
    log_weight: Tensor

    reads_batch = True

    def __init__(
        self,
        popular_ratio: Tensor,
        tau: float = 0.2,
        *,
        thresholds: Sequence[float] = (0.6, 0.8),
        group_lr: float = 0.01,
        eta: float = 0.001,
        scale_by_batch: bool = False,
        negatives: Literal["sampled", "in_batch"] = "sampled",
        mask_hits: bool = True,
    ) -> None:
        super().__init__()
        if list(thresholds) != sorted(set(thresholds)):
            raise ValueError(f"thresholds must ascend (got {list(thresholds)})")
        if not 0 <= group_lr <= 1:
            raise ValueError(f"group_lr must be in [0, 1] (got {group_lr})")
        check_not_negative(eta=eta)
        check_choice("sampled", "in_batch", negatives=negatives)
        check_positive(tau=tau)
        self.tau, self.group_lr, self.eta = tau, group_lr, eta
        self.scale_by_batch = scale_by_batch
        self.negatives, self.mask_hits = negatives, mask_hits
        bounds = popular_ratio.new_tensor(thresholds)
        group = torch.bucketize(popular_ratio, bounds, right=True)  # [U]
        start = torch.zeros(len(thresholds) + 1, device="cpu")  # [G]
        self.register_buffer("group", group, persistent=False)
        self.register_buffer("group_loss", start)
        self.register_buffer("log_weight", start.log_softmax(0))

    @classmethod
    def from_graph(cls, graph: HeteroData, **options: Any) -> Self:  # noqa: ANN401
        """Build from the users' fractions of popular items."""
        return cls(popular_ratio(graph), **options)

    def forward(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        z = z_user, z_item, batch
        if self.negatives == "in_batch":
            pos, neg = in_batch_scores(*z, tau=self.tau, mask_hits=self.mask_hits)
        else:
            pos, neg = batch_scores(*z, tau=self.tau)
        losses = softplus(neg.logsumexp(-1) - pos)  # [B]
        total, count = self._by_group(losses, self.group[batch.user_id])
        if self.training:
            self._remember(total, count)
        scale = losses.numel() if self.scale_by_batch else 1
        mean = total / count.clamp(min=1)
        return scale * (self.log_weight.exp() * mean).sum()

    def diagnostics(
        self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch
    ) -> dict[str, Tensor]:
        """Return the weights of the groups."""
        weights = self.log_weight.exp().unbind()
        return {f"group_weight_{g}": weight for g, weight in enumerate(weights)}

    def _by_group(self, losses: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of losses and the number of rows per group, ``[G]`` each."""
        zeros = losses.new_zeros(self.group_loss.numel())
        count = zeros.index_add(0, group, torch.ones_like(losses))
        return zeros.index_add(0, group, losses), count

    @torch.no_grad()
    def _remember(self, total: Tensor, count: Tensor) -> None:
        total, count = sum_over_ranks(torch.stack([total, count])).unbind()
        found = (total / count.clamp(min=1)).to(self.group_loss.dtype)
        moved = self.group_loss.lerp(found, self.group_lr)
        # in place, as a CUDA graph needs it
        self.group_loss.copy_(moved.where(count > 0, self.group_loss))
        logits = self.log_weight + self.eta * self.group_loss
        self.log_weight.copy_(logits.log_softmax(0))


def popular_ratio(graph: HeteroData) -> Tensor:
    """Return the fraction of popular train items per user ``[U]``, 0 without items."""
    user, item = split_edges(graph, "train")
    num_pairs, count = train_degrees(graph)
    top = count.argsort(descending=True, stable=True)[: int(POPULAR * count.numel())]
    is_popular = torch.zeros_like(count).index_fill(0, top, 1)
    found = torch.zeros_like(num_pairs).index_add(0, user, is_popular[item])
    return found.double() / num_pairs.clamp(min=1)
