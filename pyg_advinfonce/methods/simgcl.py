"""SimGCL."""

from typing import Any, Literal

from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.objective import RankingLoss
from pyg_advinfonce.terms import PassContrast


def build_simgcl(
    graph: HeteroData,
    loss: RankingLoss,
    *,
    lr: float = 1e-3,
    l2: float = 1e-5,
    l2_negatives: bool = False,
    weight: float = 0.5,
    tau: float = 0.2,
    candidates: Literal["all", "batch"] = "batch",
    noise: float = 0.1,
    first_layer: int = 1,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    """Build `SimGCL <https://arxiv.org/abs/2112.08679>`_: contrast two noisy passes.

    Args:
        graph: The user-item graph.
        loss: The ranking loss, which sees a third pass, without noise.
        lr: The learning rate.
        l2: The weight of the L2 penalty on the batch's layer-0 rows.
        l2_negatives: Whether this counts the negatives' rows as well.
        weight: The weight of the contrast.
        tau: The temperature of the contrast.
        candidates: Whether it is with all nodes or with the batch's.
        noise: The encoder's, the length of what is added to a row in each layer.
        first_layer: The encoder's, the first layer in its sum.
        **encoder: Other arguments of
            :class:`~pyg_advinfonce.encoders.LightGCN`.
    """
    return Method.compose(
        LightGCN(*num_nodes(graph), noise=noise, first_layer=first_layer, **encoder),
        loss,
        terms={"passes": (weight, PassContrast(tau, candidates))},
        lr=lr,
        l2=l2,
        l2_negatives=l2_negatives,
        perturb=False,
    )
