"""Builder of SGL."""

from collections.abc import Mapping
from typing import Any, Literal

from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform, Compose

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.objective import RankingLoss
from pyg_advinfonce.terms import ViewContrast
from pyg_advinfonce.transforms import BipartiteNorm, EdgeDrop, NodeDrop, RandomWalkDrop


def build_sgl(
    graph: HeteroData,
    loss: RankingLoss,
    *,
    lr: float = 1e-3,
    l2: float = 1e-4,
    l2_options: Mapping[str, Any] | None = None,
    augmentation: Literal["edge", "node", "walk"] = "edge",
    drop: float = 0.1,
    weight: float = 0.1,
    tau: float = 0.2,
    candidates: Literal["all", "batch"] = "all",
    anchors: Literal["nodes", "edges"] = "nodes",
    num_layers: int = 3,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    """Build `SGL <https://arxiv.org/abs/2010.10783>`_: contrast two augmented graphs.

    Args:
        graph: User-item graph.
        loss: Ranking loss.
        lr: Learning rate.
        l2: Weight of the L2 penalty on the batch's layer-0 rows.
        l2_options: Arguments of :class:`~pyg_advinfonce.terms.EmbeddingL2`.
        augmentation: Dropped parts of a view: ``edge`` drops edges, ``node`` drops
            nodes, and ``walk`` drops different edges in each layer.
        drop: Fraction that a view drops.
        weight: Weight of the contrast.
        tau: Temperature of the contrast.
        candidates: Contrast with ``all`` nodes or those of the ``batch``.
        anchors: Contrast each of the batch's ``nodes`` once, or the ends of its
            ``edges``, where nodes repeat.
        num_layers: Number of layers of the encoder.
        **encoder: Other arguments of
            :class:`~pyg_advinfonce.encoders.LightGCN`.
    """
    light_gcn = LightGCN(*num_nodes(graph), num_layers=num_layers, **encoder)
    drop_part = _augmentation(augmentation, drop, len(light_gcn.convs))
    draw = Compose([drop_part, BipartiteNorm()])
    return Method.compose(
        light_gcn,
        loss,
        terms={"views": (weight, ViewContrast(draw, tau, candidates, anchors))},
        lr=lr,
        l2=l2,
        l2_options=l2_options,
    )


def _augmentation(kind: str, drop: float, num_layers: int) -> BaseTransform:
    if kind == "walk":
        return RandomWalkDrop(drop, num_layers)
    return {"edge": EdgeDrop, "node": NodeDrop}[kind](drop)
