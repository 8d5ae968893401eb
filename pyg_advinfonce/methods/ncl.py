"""NCL."""

from typing import Any, Literal

from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.losses import Criterion
from pyg_advinfonce.methods.base import Method, Supervised
from pyg_advinfonce.objective import Objective, Phase
from pyg_advinfonce.terms import EmbeddingL2, NeighborContrast, PrototypeContrast


def build_ncl(
    graph: HeteroData,
    criterion: Criterion,
    *,
    lr: float = 1e-3,
    l2: float = 1e-4,
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
    """Build `NCL <https://arxiv.org/abs/2202.06200>`_: contrast nodes with neighbours.

    The authors' weights belong to batches of 4,096 rows, as the contrasts are sums.

    Args:
        graph: The user-item graph.
        criterion: The ranking loss.
        lr: The learning rate.
        l2: The weight of the L2 penalty on the batch's layer-0 rows.
        tau: The temperature of both contrasts.
        layer: The layer that is contrasted with layer 0; an even one.
        neighbor_weight: The weight of that contrast, a sum over the batch.
        item_weight: The weight of items in it.
        prototype_weight: The weight of the contrast with clusters, a sum likewise.
        num_prototypes: The number of clusters, at most half the number of nodes.
        first_epoch: The first epoch with clusters.
        prototypes: Whether all clusters are candidates or the batch's.
        num_layers: The encoder's.
        **encoder: Other arguments of
            :class:`~pyg_advinfonce.encoders.LightGCN`.
    """
    options = {"propagate_layers": layer, **encoder}
    objective = Objective(
        {
            "rec": Supervised(criterion),
            "l2": EmbeddingL2(negatives=criterion.l2_negatives),
            "neighbors": NeighborContrast(layer, tau, item_weight),
            "prototypes": PrototypeContrast(
                num_prototypes, tau, first_epoch, prototypes
            ),
        },
        weights={
            "l2": l2,
            "neighbors": neighbor_weight,
            "prototypes": prototype_weight,
        },
    )
    return Method(
        LightGCN(*num_nodes(graph), num_layers=num_layers, **options),
        objective,
        criterion.phases(Phase("main", objective, lr=lr)),
        cosine=criterion.cosine,
    )
