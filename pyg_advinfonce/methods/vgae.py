"""A variational graph auto-encoder with any criterion."""

from typing import Any

from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import VGAE
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.losses import Criterion
from pyg_advinfonce.methods.base import Method, ranking_term
from pyg_advinfonce.objective import Objective, Phase, RankingTerm
from pyg_advinfonce.terms import EmbeddingL2, KLPrior


def build_vgae(
    graph: HeteroData,
    criterion: Criterion | RankingTerm,
    *,
    lr: float = 1e-3,
    l2: float = 1e-5,
    beta_kl: float = 1e-3,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    """Build a VGAE, a reconstruction (docs/methods.md 1.4).

    Args:
        graph: The user-item graph.
        criterion: The ranking loss, in place of the reconstruction of edges.
        lr: The learning rate.
        l2: The weight of the L2 penalty on the batch's layer-0 rows.
        beta_kl: The weight of the divergence from the prior.
        **encoder: Arguments of :class:`~pyg_advinfonce.encoders.VGAE`.
    """
    objective = Objective(
        {
            "rec": ranking_term(criterion),
            "kl": KLPrior(),
            "l2": EmbeddingL2(negatives=criterion.l2_negatives),
        },
        weights={"kl": beta_kl, "l2": l2},
    )
    main = Phase("main", objective, lr=lr)
    return Method(
        VGAE(*num_nodes(graph), **encoder),
        objective,
        criterion.phases(main),
        cosine=criterion.cosine,
    )
