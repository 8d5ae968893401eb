"""LightGCN with any criterion."""

from typing import Any

from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders.lightgcn import LightGCN
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.losses.base import Criterion
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.schedule import Phase
from pyg_advinfonce.terms.base import Objective, RankingTerm
from pyg_advinfonce.terms.embedding_l2 import EmbeddingL2
from pyg_advinfonce.terms.supervised import ranking_term


def build(
    graph: HeteroData,
    criterion: Criterion | RankingTerm,
    *,
    lr: float = 1e-3,
    l2: float = 1e-5,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    """Build LightGCN.

    Args:
        graph: The user-item graph.
        criterion: The ranking loss.
        lr: The learning rate.
        l2: The weight of the L2 penalty on the batch's layer-0 rows.
        **encoder: Arguments of :class:`~pyg_advinfonce.encoders.lightgcn.LightGCN`.
    """
    objective = Objective(
        {
            "rec": ranking_term(criterion),
            "l2": EmbeddingL2(negatives=criterion.l2_negatives),
        },
        weights={"l2": l2},
    )
    main = Phase("main", objective, lr=lr)
    return Method(
        LightGCN(*num_nodes(graph), **encoder),
        objective,
        criterion.phases(main),
        cosine=criterion.cosine,
    )
