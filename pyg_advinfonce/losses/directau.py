"""DirectAU loss."""

from torch import Tensor

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.functional import align, check_not_negative, uniform
from pyg_advinfonce.losses.base import Criterion, positive_rows, refuse_neg_rows


class DirectAU(Criterion):
    r"""Alignment of positives and uniformity of users and of items, from `"Towards
    Representation Alignment and Uniformity in Collaborative Filtering"
    <https://arxiv.org/abs/2206.12811>`_.

    .. math::
        \mathcal{L} = \frac{1}{B} \sum_b |z_u - z_i|^2 + \frac{\gamma}{2} \Bigl(
        \log \overline{e^{-2 |z_u - z_v|^2}}
        + \log \overline{e^{-2 |z_i - z_j|^2}}\Bigr)

    on normalised rows. The means are over pairs of the batch's rows, including repeated
    rows. A batch of one row has no pair; its uniformity is 0.

    Args:
        gamma: Weight of uniformity.
        cosine: Rank by cosine instead of by inner product, as the authors' code does.

    Shapes:
        - **z_user:** ``[U, D]``, **z_item:** ``[I, D]``; **output:** a scalar
    """  # noqa: D205

    negatives = "none"

    def __init__(self, gamma: float = 1.0, *, cosine: bool = False) -> None:
        super().__init__()
        check_not_negative(gamma=gamma)
        self.gamma, self.cosine = gamma, cosine

    def forward(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        refuse_neg_rows(batch)
        user, item = positive_rows(z_user, z_item, batch)
        loss = align(user, item)
        if user.size(0) < 2:
            return loss
        return loss + self.gamma * (uniform(user) + uniform(item)) / 2
