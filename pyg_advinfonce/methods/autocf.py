"""AutoCF with its own loss."""

from typing import Any

from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import AutoCF
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.losses import Criterion
from pyg_advinfonce.methods.base import Method, ranking_term
from pyg_advinfonce.objective import Objective, Phase, RankingTerm
from pyg_advinfonce.terms import TableL2


def build_autocf(
    graph: HeteroData,
    criterion: Criterion | RankingTerm,
    *,
    lr: float = 1e-3,
    l2: float = 1e-7,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    """Build AutoCF.

    Args:
        graph: The user-item graph.
        criterion: The ranking loss.
        lr: The learning rate.
        l2: The weight of the sum of all squared parameters of the encoder.
        **encoder: Arguments of :class:`~pyg_advinfonce.encoders.AutoCF`.
    """
    objective = Objective(
        {"rec": ranking_term(criterion), "l2": TableL2()}, weights={"l2": 2 * l2}
    )
    main = Phase("main", objective, lr=lr)
    return Method(
        AutoCF(*num_nodes(graph), **encoder),
        objective,
        criterion.phases(main),
        cosine=criterion.cosine,
    )
