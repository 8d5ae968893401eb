"""Penalties: L2 of a batch, L2 of all parameters, KL to the prior."""

from collections.abc import Sequence
from functools import reduce
from typing import Literal

import torch
from torch import Tensor

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.functional import EPS, check_choice, squares
from pyg_advinfonce.objective import Step, Term
from pyg_advinfonce.ops import total, totals


class EmbeddingL2(Term):
    r"""L2 penalty of the batch's rows, by default of layer 0 and per positive pair.

    .. math::
        \frac{1}{2 B} \sum_b \Bigl(|e_u|^2 + |e_i|^2 + \sum_j |e_j|^2\Bigr)

    A row counts once per occurrence in the batch; masked negatives do not count. The
    options are those of other authors' code (docs/methods.md 0.5).

    Args:
        negatives: Whether negatives are included.
        norm: ``squared`` is half the squared norms. ``plain`` is the norm of all rows
            of users, plus that of positives and that of negatives.
        reduction: ``mean`` divides by the batch size, ``sum`` does not.
        rows: Rows of layer 0 (``ego``), of all ``layers``, or of the ``final``
            embeddings.
        perturb: ``False`` uses the clean embeddings.
    """

    def __init__(
        self,
        negatives: bool = False,
        *,
        norm: Literal["squared", "plain"] = "squared",
        reduction: Literal["mean", "sum"] = "mean",
        rows: Literal["ego", "layers", "final"] = "ego",
        perturb: bool = True,
    ) -> None:
        super().__init__()
        check_choice("squared", "plain", norm=norm)
        check_choice("mean", "sum", reduction=reduction)
        check_choice("ego", "layers", "final", rows=rows)
        self.negatives, self.norm = negatives, norm
        self.reduction, self.rows, self.perturb = reduction, rows, perturb
        self.reads_batch = rows != "layers"

    def forward(self, step: Step) -> Tensor:
        parts = [self._squares(*pair, step.batch) for pair in self._tables(step)]
        roles = totals(*(reduce(torch.add, role) for role in zip(*parts, strict=True)))
        if self.norm == "plain":  # the gradient at 0 is 0
            roles = tuple(2 * role.clamp(min=EPS**2).sqrt() for role in roles)
        number = step.batch.src_index.numel() if self.reduction == "mean" else 1
        return reduce(torch.add, roles) / (2 * number)

    def _tables(self, step: Step) -> Sequence[tuple[Tensor, Tensor]]:
        if self.rows == "ego":  # perturbed or not
            return step.embeddings.layers[:1]
        z = step.embeddings if self.perturb else step.clean
        return z.layers if self.rows == "layers" else [(z.user, z.item)]

    def _squares(self, user: Tensor, item: Tensor, batch: EdgeBatch) -> list[Tensor]:
        """Sum the squared norms of users, of positives and of negatives if counted."""
        found = [squares(user, batch.src_index), squares(item, batch.dst_pos_index)]
        if self.negatives:
            norms = item.square().sum(-1)  # [I]
            found.append(batch.sum_of_negatives(norms, batch.dst_neg_index))
        return found


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
        return total(torch.stack(norms).sum()) / 2
