"""InfoNCE loss, also known as sampled softmax."""

from typing import Literal

from torch import Tensor

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.functional import check_choice, check_positive, info_nce
from pyg_advinfonce.losses.base import Criterion, batch_scores, in_batch_scores


class InfoNCE(Criterion):
    r"""Sampled softmax on cosine scores, as in `"On the Effectiveness of Sampled
    Softmax Loss for Item Recommendation" <https://arxiv.org/abs/2201.02327>`_.

    .. math::
        \mathcal{L} = \frac{1}{B} \sum_b \mathrm{softplus}\Bigl(\log w + \log \sum_j
        e^{c(u, j) / \tau} - c(u, i) / \tau\Bigr)

    Args:
        tau: Temperature.
        negative_weight: ``w``, weight of the negatives.
        negatives: ``sampled`` contrasts with the batch's negatives, ``in_batch`` with
            the other positives of the batch.
        mask_hits: Leave a row's own positive out of its ``in_batch`` negatives where
            other rows have it too. InvCF's authors keep it (docs/methods.md 2.2).

    Shapes:
        - **z_user:** ``[U, D]``, **z_item:** ``[I, D]``; **output:** a scalar
    """  # noqa: D205

    takes_all_negatives = True
    reads_batch = True

    def __init__(
        self,
        tau: float = 0.2,
        negative_weight: float = 1.0,
        negatives: Literal["sampled", "in_batch"] = "sampled",
        *,
        mask_hits: bool = True,
    ) -> None:
        super().__init__()
        check_choice("sampled", "in_batch", negatives=negatives)
        check_positive(negative_weight=negative_weight, tau=tau)
        self.tau, self.negative_weight = tau, negative_weight
        self.negatives, self.mask_hits = negatives, mask_hits

    def forward(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        z = z_user, z_item, batch
        if self.negatives == "in_batch":
            pos, neg = in_batch_scores(*z, tau=self.tau, mask_hits=self.mask_hits)
        else:
            pos, neg = batch_scores(*z, tau=self.tau)
        return info_nce(pos, neg, negative_weight=self.negative_weight)
