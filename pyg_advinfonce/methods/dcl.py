"""DCL."""

from typing import Any, Literal

from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.objective import RankingLoss
from pyg_advinfonce.terms import PassContrast


def build_dcl(
    graph: HeteroData,
    loss: RankingLoss,
    *,
    lr: float = 1e-3,
    l2: float = 1e-5,
    l2_negatives: bool = False,
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
        loss: The ranking loss, which sees the first of the two passes.
        lr: The learning rate.
        l2: The weight of the L2 penalty on the batch's layer-0 rows.
        l2_negatives: Whether this counts the negatives' rows as well.
        weight: The weight of the contrast.
        tau: The temperature of the contrast.
        candidates: Whether it is with all nodes or with the batch's.
        message_drop: The encoder's, with which probability each message is dropped.
        **encoder: Other arguments of
            :class:`~pyg_advinfonce.encoders.LightGCN`.
    """
    return Method.compose(
        LightGCN(*num_nodes(graph), message_drop=message_drop, **encoder),
        loss,
        terms={"passes": (weight, PassContrast(tau, candidates))},
        lr=lr,
        l2=l2,
        l2_negatives=l2_negatives,
    )
