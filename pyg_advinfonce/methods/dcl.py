"""DCL."""

from typing import Any, Literal

from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.losses import Criterion
from pyg_advinfonce.methods.base import Method, Supervised
from pyg_advinfonce.objective import Objective, Phase
from pyg_advinfonce.terms import EmbeddingL2, PassContrast


def build_dcl(
    graph: HeteroData,
    criterion: Criterion,
    *,
    lr: float = 1e-3,
    l2: float = 1e-5,
    weight: float = 0.1,
    tau: float = 0.2,
    candidates: Literal["all", "batch"] = "batch",
    message_drop: float = 0.1,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    """Build `DCL <https://arxiv.org/abs/2101.01317>`_: contrast passes that drop.

    A reconstruction: of the paper no more than its abstract was at hand
    (docs/methods.md 3.5, [R]).

    Args:
        graph: The user-item graph.
        criterion: The ranking loss, which sees the first of the two passes.
        lr: The learning rate.
        l2: The weight of the L2 penalty on the batch's layer-0 rows.
        weight: The weight of the contrast.
        tau: The temperature of the contrast.
        candidates: Whether it is with all nodes or with the batch's.
        message_drop: The encoder's, with which probability each message is dropped.
        **encoder: Other arguments of
            :class:`~pyg_advinfonce.encoders.LightGCN`.
    """
    objective = Objective(
        {
            "rec": Supervised(criterion),
            "l2": EmbeddingL2(negatives=criterion.l2_negatives),
            "passes": PassContrast(tau, candidates),
        },
        weights={"l2": l2, "passes": weight},
    )
    return Method(
        LightGCN(*num_nodes(graph), message_drop=message_drop, **encoder),
        objective,
        criterion.phases(Phase("main", objective, lr=lr)),
        cosine=criterion.cosine,
    )
