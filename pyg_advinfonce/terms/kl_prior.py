"""The prior of a variational encoder."""

from torch import Tensor

from pyg_advinfonce.step import Step
from pyg_advinfonce.terms.base import Term


class KLPrior(Term):
    r"""Pull a variational encoder's distributions towards a standard normal one, as in
    `"Variational Graph Auto-Encoders" <https://arxiv.org/abs/1611.07308>`_.

    .. math::
        -\frac{1}{2 (U + I)} \sum_{v} \sum_d
        \bigl(1 + 2 \log \sigma_{vd} - \mu_{vd}^2 - \sigma_{vd}^2\bigr)

    The encoder puts ``mu_user``, ``logstd_user``, ``mu_item`` and ``logstd_item`` into
    ``aux``. The mean over nodes is that of PyG's ``VGAE.kl_loss``; the further division
    by their number, which PyG's examples make, is left to the weight (methods.md 1.4).
    """  # noqa: D205

    needs_whole_graph = True

    def forward(self, step: Step) -> Tensor:
        aux = step.embeddings.aux
        user = _divergence(aux["mu_user"], aux["logstd_user"])
        item = _divergence(aux["mu_item"], aux["logstd_item"])
        return (user + item) / (len(aux["mu_user"]) + len(aux["mu_item"]))


def _divergence(mu: Tensor, logstd: Tensor) -> Tensor:
    """Return the sum over nodes, by products that keep nothing of a table's size."""
    mean, std = mu.flatten(), logstd.exp().flatten()
    squares = mean.dot(mean) + std.dot(std)
    return (squares - 2 * logstd.sum() - mu.numel()) / 2
