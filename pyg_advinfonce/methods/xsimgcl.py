"""XSimGCL."""

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
    l2_negatives: bool = False,
    layer: int = 1,
    weight: float = 0.2,
    tau: float = 0.15,
    candidates: Literal["all", "batch"] = "batch",
    noise: float = 0.2,
    first_layer: int = 1,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    """Build `XSimGCL <https://arxiv.org/abs/2209.02544>`_: contrast two noisy layers.

    Args:
        graph: The user-item graph.
        loss: The ranking loss, which sees the noise as well.
        lr: The learning rate.
        l2: The weight of the L2 penalty on the batch's layer-0 rows.
        l2_negatives: Whether this counts the negatives' rows as well.
        layer: The layer that the sum of layers is contrasted with.
        weight: The weight of the contrast.
        tau: The temperature of the contrast.
        candidates: Whether it is with all nodes or with the batch's.
        noise: The encoder's, the length of what is added to a row in each layer.
        first_layer: The encoder's, the first layer in its sum.
        **encoder: Other arguments of
            :class:`~pyg_advinfonce.encoders.LightGCN`.

    Raises:
        ValueError: If the layer is all that is summed, and would meet itself.
    """
    options = {"propagate_layers": layer, **encoder}
    light_gcn = LightGCN(
        *num_nodes(graph), noise=noise, first_layer=first_layer, **options
    )
    num_layers = len(light_gcn.alpha) - 1
    if first_layer == layer == num_layers and "alpha" not in encoder:
        raise ValueError(
            f"layer {layer} would be contrasted with itself: raise num_layers "
            f"(got {num_layers})"
        )
    return Method.compose(
        light_gcn,
        loss,
        terms={"layers": (weight, LayerContrast(layer, tau, candidates))},
        lr=lr,
        l2=l2,
        l2_negatives=l2_negatives,
    )
