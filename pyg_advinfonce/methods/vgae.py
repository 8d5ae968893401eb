"""Builder of the variational graph auto-encoder."""

from collections.abc import Mapping
from typing import Any

from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import VGAE
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.objective import RankingLoss
from pyg_advinfonce.terms import KLPrior


def build_vgae(
    graph: HeteroData,
    loss: RankingLoss,
    *,
    lr: float = 1e-3,
    l2: float = 1e-5,
    l2_options: Mapping[str, Any] | None = None,
    beta_kl: float = 1e-3,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    """Build a VGAE, a reconstruction (docs/methods.md 1.4).

    Args:
        graph: User-item graph.
        loss: Ranking loss, in place of the reconstruction of edges.
        lr: Learning rate.
        l2: Weight of the L2 penalty on the batch's layer-0 rows.
        l2_options: Arguments of :class:`~pyg_advinfonce.terms.EmbeddingL2`.
        beta_kl: Weight of the KL divergence from the prior.
        **encoder: Arguments of :class:`~pyg_advinfonce.encoders.VGAE`.
    """
    return Method.compose(
        VGAE(*num_nodes(graph), **encoder),
        loss,
        terms={"kl": (beta_kl, KLPrior())},
        lr=lr,
        l2=l2,
        l2_options=l2_options,
    )
