"""DCL."""

from typing import Any, Literal

from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders.lightgcn import LightGCN
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.losses.base import Criterion
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.schedule import Phase
from pyg_advinfonce.terms.base import Objective
from pyg_advinfonce.terms.embedding_l2 import EmbeddingL2
from pyg_advinfonce.terms.pass_contrast import PassContrast
from pyg_advinfonce.terms.supervised import Supervised


def build(
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

    A reconstruction: of the paper no more than its abstract was at hand (methods.md
    3.5, [R]).

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
            :class:`~pyg_advinfonce.encoders.lightgcn.LightGCN`.
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
