"""LightGCN and matrix factorisation with any loss."""

from typing import Any

from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.losses import Criterion
from pyg_advinfonce.methods.base import Method, ranking_term
from pyg_advinfonce.objective import Objective, Phase, RankingTerm
from pyg_advinfonce.terms import EmbeddingL2


def build_lightgcn(
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
        **encoder: Arguments of :class:`~pyg_advinfonce.encoders.LightGCN`.
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


def build_mf(
    graph: HeteroData,
    criterion: Criterion | RankingTerm,
    *,
    num_layers: int = 0,
    **options: Any,  # noqa: ANN401
) -> Method:
    """Build matrix factorisation: LightGCN without layers.

    Args:
        graph: The user-item graph.
        criterion: The ranking loss.
        num_layers: None.
        **options: Those of :func:`pyg_advinfonce.methods.build_lightgcn`.

    Raises:
        ConfigError: If layers are asked for.
    """
    if num_layers != 0:
        raise ConfigError("mf has no layers: use the model lightgcn for num_layers > 0")
    return build_lightgcn(graph, criterion, **options, num_layers=0)
