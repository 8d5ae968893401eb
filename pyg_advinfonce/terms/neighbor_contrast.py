"""Contrast of nodes with their structural neighbours."""

from torch import Tensor

from pyg_advinfonce.functional import view_info_nce
from pyg_advinfonce.losses.base import check_tau
from pyg_advinfonce.step import Step
from pyg_advinfonce.terms.base import Term


class NeighborContrast(Term):
    r"""Contrast a layer's rows, which sum up a node's neighbours of its own kind, with
    layer 0, of `"Improving Graph Collaborative Filtering with Neighborhood-enriched
    Contrastive Learning" <https://arxiv.org/abs/2202.06200>`_.

    .. math::
        \sum_b \Bigl[\log \sum_v e^{c(E^{(k)}_u, E^{(0)}_v)/\tau}
        - c(E^{(k)}_u, E^{(0)}_u)/\tau\Bigr]

    over all users ``v``, plus ``item_weight`` times the same for items. A sum over the
    batch, repeated nodes included: its weight is meant to be tiny.

    Args:
        layer: ``k``; an even one ends at nodes of the same kind.
        tau: The temperature.
        item_weight: The weight of items against users.

    Shapes:
        - **output:** a scalar
    """  # noqa: D205

    needs_whole_graph = True

    def __init__(
        self, layer: int = 2, tau: float = 0.1, item_weight: float = 1.0
    ) -> None:
        super().__init__()
        if layer < 1:
            raise ValueError(f"layer must be at least 1 (got {layer})")
        self.layer, self.tau = layer, check_tau(tau)
        self.item_weight = item_weight

    def forward(self, step: Step) -> Tensor:
        layers, batch = step.embeddings.layers, step.batch
        (user, item), (x_user, x_item) = layers[self.layer], layers[0]
        return self._sum(user, x_user, batch.src_index) + self.item_weight * self._sum(
            item, x_item, batch.dst_pos_index
        )

    def _sum(self, anchor: Tensor, candidate: Tensor, index: Tensor) -> Tensor:
        rows = anchor.index_select(0, index)  # [B, D]
        return index.numel() * view_info_nce(rows, candidate, self.tau, index)
