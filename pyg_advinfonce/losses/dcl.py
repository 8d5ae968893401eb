"""Debiased contrastive loss of DCL."""

from torch import Tensor
from torch.nn.functional import softplus

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.functional import check_positive, debiased_mass
from pyg_advinfonce.losses.base import Criterion, batch_scores


class DCL(Criterion):
    r"""InfoNCE corrected for the expected false negatives among its negatives, a
    reconstruction of the ranking loss of `"Contrastive Learning for Recommender System"
    <https://arxiv.org/abs/2101.01317>`_.

    .. math::
        \mathcal{L} = -\frac{1}{B} \sum_b \log \frac{e^{s_i}}{e^{s_i} + K g}, \quad
        g = \max\Bigl(\frac{\frac{1}{K} \sum_j e^{s_j} - t^+ e^{s_i}}{1 - t^+},
        e^{-1/\tau}\Bigr), \quad s = c / \tau

    No public code was found, and the abstract only states that the loss is debiased;
    the formula is that of `"Debiased Contrastive Learning"
    <https://arxiv.org/abs/2007.00224>`_ with one positive (docs/methods.md 3.5, [R]).

    Args:
        tau: Temperature.
        prior: ``t+``, probability that a negative is a positive, in [0, 1).

    Shapes:
        - **z_user:** ``[U, D]``, **z_item:** ``[I, D]``; **output:** a scalar
    """  # noqa: D205

    def __init__(self, tau: float = 0.2, prior: float = 1e-3) -> None:
        super().__init__()
        if not 0 <= prior < 1:
            raise ValueError(f"prior must be in [0, 1) (got {prior})")
        check_positive(tau=tau)
        self.tau, self.prior = tau, prior

    def forward(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        pos, neg = batch_scores(z_user, z_item, batch, tau=self.tau)
        count = pos.new_full(pos.shape, neg.size(1))  # [B]
        if batch.neg_mask is not None:
            count = batch.neg_mask.sum(-1).to(pos.dtype)
        mass = debiased_mass(pos, neg.logsumexp(-1), count, self.prior, -1 / self.tau)
        return softplus(mass - pos).mean()
