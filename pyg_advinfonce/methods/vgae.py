"""A variational graph auto-encoder with any loss."""

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
    l2_negatives: bool = False,
    beta_kl: float = 1e-3,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    """Build a VGAE, a reconstruction (docs/methods.md 1.4).

    Args:
        graph: The user-item graph.
        loss: The ranking loss, in place of the reconstruction of edges.
        lr: The learning rate.
        l2: The weight of the L2 penalty on the batch's layer-0 rows.
        l2_negatives: Whether this counts the negatives' rows as well.
        beta_kl: The weight of the divergence from the prior.
        **encoder: Arguments of :class:`~pyg_advinfonce.encoders.VGAE`.
    """
    return Method.compose(
        VGAE(*num_nodes(graph), **encoder),
        loss,
        terms={"kl": (beta_kl, KLPrior())},
        lr=lr,
        l2=l2,
        l2_negatives=l2_negatives,
    )
