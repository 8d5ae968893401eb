"""Penalties: L2 of a batch, L2 of all parameters, KL to the prior."""

import torch
from torch import Tensor

from pyg_advinfonce.functional import squares
from pyg_advinfonce.objective import Step, Term


class EmbeddingL2(Term):
    r"""Half the squared norms of the batch's layer-0 rows, per positive pair.

    .. math::
        \frac{1}{2 B} \sum_b \Bigl(|e_u|^2 + |e_i|^2 + \sum_j |e_j|^2\Bigr)

    A row counts once per occurrence in the batch; masked negatives do not count.

    Args:
        negatives: Whether negatives are included.
    """

    def __init__(self, negatives: bool = False) -> None:
        super().__init__()
        self.negatives = negatives

    def forward(self, step: Step) -> Tensor:
        user, item = step.embeddings.layers[0]
        batch = step.batch
        penalty = squares(user, batch.src_index) + squares(item, batch.dst_pos_index)
        if self.negatives:
            norms = item.square().sum(-1)  # [I]
            norms = norms[batch.dst_neg_index]  # [B, K]
            if batch.neg_mask is not None:
                norms = norms.masked_fill(~batch.neg_mask, 0.0)
            penalty = penalty + norms.sum()
        return penalty / (2 * batch.src_index.numel())


class KLPrior(Term):
    r"""KL divergence of a variational encoder from the standard normal prior, as in
    `"Variational Graph Auto-Encoders" <https://arxiv.org/abs/1611.07308>`_.

    .. math::
        -\frac{1}{2 (U + I)} \sum_{v} \sum_d
        \bigl(1 + 2 \log \sigma_{vd} - \mu_{vd}^2 - \sigma_{vd}^2\bigr)

    The encoder returns ``mu_user``, ``logstd_user``, ``mu_item`` and ``logstd_item`` in
    ``aux``. The mean over nodes is that of PyG's ``VGAE.kl_loss``; the further division
    by their number in PyG's examples is left to the weight (docs/methods.md 1.4).
    """  # noqa: D205

    needs_whole_graph = True

    def forward(self, step: Step) -> Tensor:
        aux = step.embeddings.aux
        user = _divergence(aux["mu_user"], aux["logstd_user"])
        item = _divergence(aux["mu_item"], aux["logstd_item"])
        return (user + item) / (len(aux["mu_user"]) + len(aux["mu_item"]))


def _divergence(mu: Tensor, logstd: Tensor) -> Tensor:
    """Return the sum over nodes; dot products avoid tables of squares."""
    mean, std = mu.flatten(), logstd.exp().flatten()
    squares = mean.dot(mean) + std.dot(std)
    return (squares - 2 * logstd.sum() - mu.numel()) / 2


class TableL2(Term):
    r"""Half the squared norm of all parameters of the encoder, in every step.

    .. math::
        \frac{1}{2} \sum_\theta |\theta|^2

    This is the penalty of UltraGCN's authors' code (docs/methods.md 1.3).
    """

    def forward(self, step: Step) -> Tensor:
        norms = [p.square().sum() for p in step.encoder.parameters()]
        return torch.stack(norms).sum() / 2
