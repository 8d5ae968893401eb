"""Builder of LightGCL."""

from collections.abc import Mapping
from typing import Any

from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.functional import check_positive
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.objective import RankingLoss
from pyg_advinfonce.terms import SVDContrast, TableL2


def build_lightgcl(
    graph: HeteroData,
    loss: RankingLoss,
    *,
    lr: float = 1e-3,
    l2: float = 1e-5,
    l2_options: Mapping[str, Any] | None = None,
    rank: int = 5,
    weight: float = 0.01,
    tau: float = 0.8,
    with_negatives: bool = False,
    num_layers: int = 2,
    first_layer: int = 0,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    """Build `LightGCL <https://arxiv.org/abs/2302.08191>`_: contrast a low-rank graph.

    The embeddings are a sum of layers, not their mean. Dropped messages are the
    authors' edge dropout; the embeddings that rank have none. The contrast's weight,
    its temperature and the penalty are RecBole-GNN's, better than the authors' on
    three data sets (docs/decisions.md).

    Args:
        graph: User-item graph.
        loss: Ranking loss.
        lr: Learning rate.
        l2: Weight of the sum of all squared parameters of the encoder.
        l2_options: No effect: the penalty already includes all rows.
        rank: Rank of the truncated SVD of the normalised adjacency.
        weight: Weight of the contrast.
        tau: Temperature of the contrast.
        with_negatives: Contrast the batch's drawn negatives too, not only its
            positives.
        num_layers: Number of layers of the encoder.
        first_layer: First layer in the encoder's sum.
        **encoder: Other arguments of
            :class:`~pyg_advinfonce.encoders.LightGCN`.
    """
    check_positive(num_layers=num_layers)
    options = {
        "alpha": [float(layer >= first_layer) for layer in range(num_layers + 1)],
        "propagate_layers": num_layers,  # the contrast looks at all layers
        "num_layers": num_layers,
        "first_layer": first_layer,
        **encoder,
    }
    light_gcn = LightGCN(*num_nodes(graph), **options)
    contrast = SVDContrast(
        *num_nodes(graph),
        rank,
        tau,
        alpha=light_gcn.alpha,
        with_negatives=with_negatives,
    )
    return Method.compose(
        light_gcn,
        loss,
        terms={"l2": (2 * l2, TableL2()), "svd": (weight, contrast)},
        lr=lr,
    )
