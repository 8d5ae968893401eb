"""Contrast of two passes of a random encoder."""

from torch import Tensor

from pyg_advinfonce.step import Step
from pyg_advinfonce.terms.contrast import Contrast


class PassContrast(Contrast):
    r"""Contrast two passes of an encoder over the same graph, which its noise or
    dropped messages tell apart, as in `"Are Graph Augmentations Necessary? Simple Graph
    Contrastive Learning for Recommendation" <https://arxiv.org/abs/2112.08679>`_.

    .. math::
        \mathrm{NCE}(Z', Z'')

    of :class:`~pyg_advinfonce.terms.contrast.Contrast`, with the embeddings of all
    users ``[U, D]`` and items ``[I, D]`` after each pass. The first pass is the step's
    own, which other terms see as well.

    Shapes:
        - **output:** a scalar
    """  # noqa: D205

    def forward(self, step: Step) -> Tensor:
        first, second = step.embeddings, step.encode()
        return self.contrast(
            (first.user, first.item),
            (second.user, second.item),
            step.batch.src_index,
            step.batch.dst_pos_index,
        )
