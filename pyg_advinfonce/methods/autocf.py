"""Builder of AutoCF."""

from collections.abc import Mapping
from typing import Any

from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import AutoCF
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.objective import RankingLoss
from pyg_advinfonce.terms import TableL2


def build_autocf(
    graph: HeteroData,
    loss: RankingLoss,
    *,
    lr: float = 1e-3,
    l2: float = 1e-7,
    l2_options: Mapping[str, Any] | None = None,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    """Build AutoCF.

    Args:
        graph: User-item graph.
        loss: Ranking loss.
        lr: Learning rate.
        l2: Weight of the sum of all squared parameters of the encoder.
        l2_options: No effect: the penalty already includes all rows.
        **encoder: Arguments of :class:`~pyg_advinfonce.encoders.AutoCF`.
    """
    return Method.compose(
        AutoCF(*num_nodes(graph), **encoder),
        loss,
        terms={"l2": (2 * l2, TableL2())},
        lr=lr,
    )
