"""Bayesian personalised ranking."""

from torch import Tensor

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.functional import bpr
from pyg_advinfonce.losses.base import Criterion, batch_scores


class BPR(Criterion):
    r"""Pairwise ranking loss of `"BPR: Bayesian Personalized Ranking from Implicit
    Feedback" <https://arxiv.org/abs/1205.2618>`_.

    .. math::
        \mathcal{L} = \frac{1}{B K} \sum_{b, k} \mathrm{softplus}(s_{bk} - s_{bi})

    Args:
        cosine: Score by cosine instead of by inner product.

    Shapes:
        - **z_user:** ``[U, D]``, **z_item:** ``[I, D]``; **output:** a scalar
    """  # noqa: D205

    reads_batch = True

    def __init__(self, cosine: bool = False) -> None:
        super().__init__()
        self.cosine = cosine

    def forward(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        cosine = self.cosine
        pos, neg = batch_scores(z_user, z_item, batch, cosine=cosine, log_q=False)
        return bpr(pos, neg, batch.neg_importance, batch.num_kept)
