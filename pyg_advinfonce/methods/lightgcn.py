"""LightGCN and matrix factorisation with any loss."""

from typing import Any

from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.objective import RankingLoss


def build_lightgcn(
    graph: HeteroData,
    loss: RankingLoss,
    *,
    lr: float = 1e-3,
    l2: float = 1e-5,
    l2_negatives: bool = False,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    """Build LightGCN.

    Args:
        graph: The user-item graph.
        loss: The ranking loss.
        lr: The learning rate.
        l2: The weight of the L2 penalty on the batch's layer-0 rows.
        l2_negatives: Whether this counts the negatives' rows as well.
        **encoder: Arguments of :class:`~pyg_advinfonce.encoders.LightGCN`.
    """
    return Method.compose(
        LightGCN(*num_nodes(graph), **encoder),
        loss,
        lr=lr,
        l2=l2,
        l2_negatives=l2_negatives,
    )


def build_mf(
    graph: HeteroData,
    loss: RankingLoss,
    *,
    num_layers: int = 0,
    **options: Any,  # noqa: ANN401
) -> Method:
    """Build matrix factorisation: LightGCN without layers.

    Args:
        graph: The user-item graph.
        loss: The ranking loss.
        num_layers: None.
        **options: Those of :func:`pyg_advinfonce.methods.build_lightgcn`.

    Raises:
        ConfigError: If layers are asked for.
    """
    if num_layers != 0:
        raise ConfigError("mf has no layers: use the model lightgcn for num_layers > 0")
    return build_lightgcn(graph, loss, **options, num_layers=0)
