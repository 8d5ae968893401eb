"""Matrix factorisation with any criterion."""

from typing import Any

from torch_geometric.data import HeteroData

from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.losses.base import Criterion
from pyg_advinfonce.methods import lightgcn
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.terms.base import RankingTerm


def build(
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
        **options: Those of :func:`pyg_advinfonce.methods.lightgcn.build`.

    Raises:
        ConfigError: If layers are asked for.
    """
    if num_layers != 0:
        raise ConfigError("mf has no layers: use the model lightgcn for num_layers > 0")
    return lightgcn.build(graph, criterion, **options, num_layers=0)
