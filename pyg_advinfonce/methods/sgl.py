"""SGL."""

from typing import Any, Literal

from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform, Compose

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.objective import RankingLoss
from pyg_advinfonce.terms import ViewContrast
from pyg_advinfonce.transforms import BipartiteNorm, EdgeDrop, NodeDrop, RandomWalkDrop

Augmentation = Literal["edge", "node", "walk"]


def build_sgl(
    graph: HeteroData,
    loss: RankingLoss,
    *,
    lr: float = 1e-3,
    l2: float = 1e-4,
    l2_negatives: bool = False,
    augmentation: Augmentation = "edge",
    drop: float = 0.1,
    weight: float = 0.1,
    tau: float = 0.2,
    candidates: Literal["all", "batch"] = "all",
    num_layers: int = 3,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    """Build `SGL <https://arxiv.org/abs/2010.10783>`_: contrast two thinned graphs.

    Args:
        graph: The user-item graph.
        loss: The ranking loss.
        lr: The learning rate.
        l2: The weight of the L2 penalty on the batch's layer-0 rows.
        l2_negatives: Whether this counts the negatives' rows as well.
        augmentation: Whether a view lacks edges, nodes, or other edges in each layer.
        drop: The share that it lacks.
        weight: The weight of the contrast.
        tau: The temperature of the contrast.
        candidates: Whether it is with all nodes or with the batch's.
        num_layers: The encoder's.
        **encoder: Other arguments of
            :class:`~pyg_advinfonce.encoders.LightGCN`.
    """
    light_gcn = LightGCN(*num_nodes(graph), num_layers=num_layers, **encoder)
    thin = _thinning(augmentation, drop, len(light_gcn.convs))
    draw = Compose([thin, BipartiteNorm()])
    return Method.compose(
        light_gcn,
        loss,
        terms={"views": (weight, ViewContrast(draw, tau, candidates))},
        lr=lr,
        l2=l2,
        l2_negatives=l2_negatives,
    )


def _thinning(kind: Augmentation, drop: float, num_layers: int) -> BaseTransform:
    if kind == "walk":
        return RandomWalkDrop(drop, num_layers)
    return {"edge": EdgeDrop, "node": NodeDrop}[kind](drop)
