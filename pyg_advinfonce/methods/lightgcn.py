"""Builders of LightGCN and matrix factorisation."""

from collections.abc import Mapping
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
    l2_options: Mapping[str, Any] | None = None,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    """Build LightGCN.

    Args:
        graph: User-item graph.
        loss: Ranking loss.
        lr: Learning rate.
        l2: Weight of the L2 penalty on the batch's layer-0 rows.
        l2_options: Arguments of :class:`~pyg_advinfonce.terms.EmbeddingL2`.
        **encoder: Arguments of :class:`~pyg_advinfonce.encoders.LightGCN`.
    """
    return Method.compose(
        LightGCN(*num_nodes(graph), **encoder),
        loss,
        lr=lr,
        l2=l2,
        l2_options=l2_options,
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
        graph: User-item graph.
        loss: Ranking loss.
        num_layers: Must be 0.
        **options: Options of :func:`pyg_advinfonce.methods.build_lightgcn`.

    Raises:
        ConfigError: If ``num_layers`` is not 0.
    """
    if num_layers != 0:
        raise ConfigError(
            f"model.num_layers must be 0 for mf (got {num_layers}): use lightgcn"
        )
    return build_lightgcn(graph, loss, **options, num_layers=0)
