"""SGL."""

from typing import Any, Literal

from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform, Compose

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.losses import Criterion
from pyg_advinfonce.methods.base import Method, Supervised
from pyg_advinfonce.objective import Objective, Phase
from pyg_advinfonce.terms import EmbeddingL2, ViewContrast
from pyg_advinfonce.transforms import BipartiteNorm, EdgeDrop, NodeDrop, RandomWalkDrop

Augmentation = Literal["edge", "node", "walk"]


def build_sgl(
    graph: HeteroData,
    criterion: Criterion,
    *,
    lr: float = 1e-3,
    l2: float = 1e-4,
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
        criterion: The ranking loss.
        lr: The learning rate.
        l2: The weight of the L2 penalty on the batch's layer-0 rows.
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
    objective = Objective(
        {
            "rec": Supervised(criterion),
            "l2": EmbeddingL2(negatives=criterion.l2_negatives),
            "views": ViewContrast(draw, tau, candidates),
        },
        weights={"l2": l2, "views": weight},
    )
    phases = criterion.phases(Phase("main", objective, lr=lr))
    return Method(light_gcn, objective, phases, cosine=criterion.cosine)


def _thinning(kind: Augmentation, drop: float, num_layers: int) -> BaseTransform:
    if kind == "walk":
        return RandomWalkDrop(drop, num_layers)
    return {"edge": EdgeDrop, "node": NodeDrop}[kind](drop)
