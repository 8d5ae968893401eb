"""Contrast of a layer with the sum of layers."""

from typing import Literal

from torch import Tensor

from pyg_advinfonce.step import Step
from pyg_advinfonce.terms.contrast import Contrast


class LayerContrast(Contrast):
    r"""Contrast a pass's embeddings with one layer of the same pass, as in `"XSimGCL:
    Towards Extremely Simple Graph Contrastive Learning for Recommendation"
    <https://arxiv.org/abs/2209.02544>`_.

    .. math::
        \mathrm{NCE}(Z, E^{(l)})

    of :class:`~pyg_advinfonce.terms.contrast.Contrast`, with ``Z`` the embeddings of
    all users ``[U, D]`` and items ``[I, D]``, and :math:`E^{(l)}` their rows in layer
    ``l``.

    Args:
        layer: ``l``, counted from 1.
        tau: The temperature.
        candidates: As for :class:`~pyg_advinfonce.terms.contrast.Contrast`.

    Shapes:
        - **output:** a scalar
    """  # noqa: D205

    def __init__(
        self,
        layer: int = 1,
        tau: float = 0.15,
        candidates: Literal["all", "batch"] = "batch",
    ) -> None:
        super().__init__(tau, candidates)
        if layer < 1:
            raise ValueError(f"layer must be at least 1 (got {layer})")
        self.layer = layer

    def forward(self, step: Step) -> Tensor:
        z, batch = step.embeddings, step.batch
        return self.contrast(
            (z.user, z.item),
            z.layers[self.layer],
            batch.src_index,
            batch.dst_pos_index,
        )
