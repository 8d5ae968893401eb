"""Builder of SimGCL."""

from collections.abc import Mapping
from typing import Any, Literal

from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.objective import RankingLoss
from pyg_advinfonce.terms import PassContrast


def build_simgcl(
    graph: HeteroData,
    loss: RankingLoss,
    *,
    lr: float = 1e-3,
    l2: float = 1e-5,
    l2_options: Mapping[str, Any] | None = None,
    weight: float = 0.5,
    tau: float = 0.2,
    candidates: Literal["all", "batch"] = "batch",
    noise: float = 0.1,
    first_layer: int = 1,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    """Build `SimGCL <https://arxiv.org/abs/2112.08679>`_: contrast two noisy passes.

    Args:
        graph: User-item graph.
        loss: Ranking loss, applied to a third pass without noise.
        lr: Learning rate.
        l2: Weight of the L2 penalty on the batch's layer-0 rows.
        l2_options: Arguments of :class:`~pyg_advinfonce.terms.EmbeddingL2`.
        weight: Weight of the contrast.
        tau: Temperature of the contrast.
        candidates: Contrast with ``all`` nodes or those of the ``batch``.
        noise: Length of the encoder's noise per layer.
        first_layer: First layer in the encoder's sum.
        **encoder: Other arguments of
            :class:`~pyg_advinfonce.encoders.LightGCN`.
    """
    return Method.compose(
        LightGCN(*num_nodes(graph), noise=noise, first_layer=first_layer, **encoder),
        loss,
        terms={"passes": (weight, PassContrast(tau, candidates))},
        lr=lr,
        l2=l2,
        l2_options=l2_options,
        perturb=False,
    )
