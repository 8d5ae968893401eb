"""Builder of NCL."""

from collections.abc import Mapping
from typing import Any, Literal

from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.objective import RankingLoss
from pyg_advinfonce.terms import NeighborContrast, PrototypeContrast


def build_ncl(
    graph: HeteroData,
    loss: RankingLoss,
    *,
    lr: float = 1e-3,
    l2: float = 1e-4,
    l2_options: Mapping[str, Any] | None = None,
    tau: float = 0.1,
    layer: int = 2,
    neighbor_weight: float = 1e-7,
    item_weight: float = 1.0,
    prototype_weight: float = 8e-8,
    num_prototypes: int = 1000,
    first_epoch: int = 20,
    prototypes: Literal["all", "batch"] = "all",
    num_layers: int = 3,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    """Build `NCL <https://arxiv.org/abs/2202.06200>`_: neighbours and prototypes.

    The contrasts are sums over the batch; the authors' weights suit batches of 4,096.

    Args:
        graph: User-item graph.
        loss: Ranking loss.
        lr: Learning rate.
        l2: Weight of the L2 penalty on the batch's layer-0 rows.
        l2_options: Arguments of :class:`~pyg_advinfonce.terms.EmbeddingL2`.
        tau: Temperature of both contrasts.
        layer: Number of the layer that is contrasted with layer 0. An even layer
            aggregates nodes of the same type.
        neighbor_weight: Weight of the contrast of layers, a sum over the batch.
        item_weight: Weight of items relative to users in the contrast of layers.
        prototype_weight: Weight of the contrast with clusters, a sum over the batch.
        num_prototypes: Number of clusters, at most half the number of nodes.
        first_epoch: First epoch with clusters.
        prototypes: Contrast with ``all`` clusters or those of the ``batch``.
        num_layers: Number of layers of the encoder.
        **encoder: Other arguments of
            :class:`~pyg_advinfonce.encoders.LightGCN`.
    """
    options = {"propagate_layers": layer, **encoder}
    neighbors = NeighborContrast(layer, tau, item_weight)
    clusters = PrototypeContrast(num_prototypes, tau, first_epoch, prototypes)
    return Method.compose(
        LightGCN(*num_nodes(graph), num_layers=num_layers, **options),
        loss,
        terms={
            "neighbors": (neighbor_weight, neighbors),
            "prototypes": (prototype_weight, clusters),
        },
        lr=lr,
        l2=l2,
        l2_options=l2_options,
    )
