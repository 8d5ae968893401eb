"""Cosine contrastive loss of SimpleX."""

from torch import Tensor

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.functional import check_positive, cosine_contrastive
from pyg_advinfonce.losses.base import Criterion, batch_scores


class CCL(Criterion):
    r"""Cosine contrastive loss of `"SimpleX: A Simple and Strong Baseline for
    Collaborative Filtering" <https://arxiv.org/abs/2109.12613>`_.

    .. math::
        \mathcal{L} = \frac{1}{B} \sum_b \Bigl(1 - c(u, i) + \frac{w}{K} \sum_j
        \max(0, c(u, j) - m)\Bigr)

    The SimpleX model also aggregates a user's history; this class is its loss only.

    Args:
        weight: ``w``, weight of the negatives.
        margin: ``m``, in [-1, 1]; a negative with a lower cosine has no loss.

    Shapes:
        - **z_user:** ``[U, D]``, **z_item:** ``[I, D]``; **output:** a scalar
    """  # noqa: D205

    takes_all_negatives = True
    reads_batch = True

    def __init__(self, weight: float = 50.0, margin: float = 0.4) -> None:
        super().__init__()
        check_positive(weight=weight)
        if not -1 <= margin <= 1:
            raise ValueError(f"margin must be in [-1, 1] (got {margin})")
        self.weight, self.margin = weight, margin

    def forward(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        pos, neg = batch_scores(z_user, z_item, batch, log_q=False)
        kept = batch.neg_mask, batch.neg_importance
        return cosine_contrastive(pos, neg, self.weight, self.margin, *kept)
