"""Binary cross-entropy with UltraGCN's edge weights."""

from typing import Any, Literal, Self

import torch
from torch import Tensor
from torch.nn.functional import softplus
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.functional import (
    check_choice,
    check_counts,
    check_not_negative,
    check_positive,
)
from pyg_advinfonce.graph import train_degrees
from pyg_advinfonce.losses.base import Criterion, batch_scores


class BCE(Criterion):
    r"""Binary cross-entropy of edges and sampled non-edges, weighted as in `"UltraGCN:
    Ultra Simplification of Graph Convolutional Networks for Recommendation"
    <https://arxiv.org/abs/2110.15114>`_; by default all weights are equal.

    .. math::
        \mathcal{L} = \sum_b \Bigl[(w_1 + w_2 \beta_{ui})\, \mathrm{softplus}(-s_{ui})
        + \frac{\lambda}{K} \sum_j (w_3 + w_4 \beta_{uj})\, \mathrm{softplus}(s_{uj})
        \Bigr], \quad
        \beta_{ui} = \frac{1}{d_u} \sqrt{\frac{d_u + 1}{d_i + 1}}

    Scores are inner products; :math:`\beta` is 0 for a user without edges. By default
    the sum over ``b`` is divided by ``B``.

    Args:
        user_degree: ``[U]`` number of train edges per user, by global id.
        item_degree: ``[I]`` number of train edges per item, by global id.
        w1: Constant weight of a positive.
        w2: Weight of a positive's :math:`\beta`.
        w3: Constant weight of a negative.
        w4: Weight of a negative's :math:`\beta`.
        negative_weight: :math:`\lambda`, weight of the negatives.
        reduction: ``mean`` or ``sum`` over the batch.

    Shapes:
        - **z_user:** ``[U, D]``, **z_item:** ``[I, D]``; **output:** a scalar
    """  # noqa: D205

    cosine = False
    user_degree: Tensor
    item_degree: Tensor

    def __init__(
        self,
        user_degree: Tensor,
        item_degree: Tensor,
        *,
        w1: float = 1.0,
        w2: float = 0.0,
        w3: float = 1.0,
        w4: float = 0.0,
        negative_weight: float = 1.0,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__()
        check_not_negative(w1=w1, w2=w2, w3=w3, w4=w4)
        check_positive(negative_weight=negative_weight)
        check_choice("mean", "sum", reduction=reduction)
        self.w1, self.w2, self.w3, self.w4 = w1, w2, w3, w4
        self.negative_weight, self.reduction = negative_weight, reduction
        for name, degree in (
            ("user_degree", user_degree),
            ("item_degree", item_degree),
        ):
            self.register_buffer(name, check_counts(name, degree), persistent=False)

    @classmethod
    def from_graph(cls, graph: HeteroData, **options: Any) -> Self:  # noqa: ANN401
        """Build from the degrees of the train edges."""
        return cls(*train_degrees(graph), **options)

    def forward(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        pos, neg = batch_scores(z_user, z_item, batch, cosine=False, log_q=False)
        pos_loss = softplus(-pos)  # [B]
        neg_loss = softplus(neg) * batch.neg_importance  # [B, K]
        count = batch.num_kept
        loss = self.w1 * pos_loss
        loss = loss + self.negative_weight * self.w3 * neg_loss.sum(-1) / count
        if self.w2 or self.w4:  # beta is a factor per user times a factor per item
            item = (self.item_degree.to(pos.dtype) + 1).rsqrt()  # [I]
            mixed = self.w2 * item[batch.pos_id] * pos_loss
            weighted = torch.linalg.vecdot(item[batch.neg_id], neg_loss)  # [B]
            mixed = mixed + self.negative_weight * self.w4 * weighted / count
            loss = loss + self._user_factor(batch, pos.dtype) * mixed
        return loss.sum() if self.reduction == "sum" else loss.mean()

    def _user_factor(self, batch: EdgeBatch, dtype: torch.dtype) -> Tensor:
        degree = self.user_degree[batch.user_id].to(dtype)  # [B]
        return torch.where(degree > 0, (degree + 1).sqrt() / degree.clamp(min=1), 0.0)
