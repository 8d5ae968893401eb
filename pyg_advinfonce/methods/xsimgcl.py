"""Builder of XSimGCL."""

from collections.abc import Mapping
from typing import Any, Literal

from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.objective import RankingLoss
from pyg_advinfonce.terms import LayerContrast


def build_xsimgcl(
    graph: HeteroData,
    loss: RankingLoss,
    *,
    lr: float = 1e-3,
    l2: float = 1e-5,
    l2_options: Mapping[str, Any] | None = None,
    layer: int = 1,
    weight: float = 0.2,
    tau: float = 0.15,
    candidates: Literal["all", "batch"] = "batch",
    noise: float = 0.2,
    first_layer: int = 1,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    """Build `XSimGCL <https://arxiv.org/abs/2209.02544>`_: contrast noisy layers.

    Args:
        graph: User-item graph.
        loss: Ranking loss, applied to the same noisy pass.
        lr: Learning rate.
        l2: Weight of the L2 penalty on the batch's layer-0 rows.
        l2_options: Arguments of :class:`~pyg_advinfonce.terms.EmbeddingL2`.
        layer: Layer that is contrasted with the sum of layers.
        weight: Weight of the contrast.
        tau: Temperature of the contrast.
        candidates: Contrast with ``all`` nodes or those of the ``batch``.
        noise: Length of the encoder's noise per layer.
        first_layer: First layer in the encoder's sum.
        **encoder: Other arguments of
            :class:`~pyg_advinfonce.encoders.LightGCN`.

    Raises:
        ValueError: If ``layer`` is the only layer in the sum.
    """
    options = {"propagate_layers": layer, **encoder}
    light_gcn = LightGCN(
        *num_nodes(graph), noise=noise, first_layer=first_layer, **options
    )
    num_layers = len(light_gcn.alpha) - 1
    if first_layer == layer == num_layers and "alpha" not in encoder:
        raise ValueError(
            "num_layers must exceed layer if first_layer equals layer (got num_layers "
            f"{num_layers}, layer {layer}): the contrast is of the layer with itself"
        )
    return Method.compose(
        light_gcn,
        loss,
        terms={"layers": (weight, LayerContrast(layer, tau, candidates))},
        lr=lr,
        l2=l2,
        l2_options=l2_options,
    )
