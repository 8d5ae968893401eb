"""Builder of UltraGCN."""

from collections.abc import Mapping
from typing import Any, Literal

from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import UltraGCN
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.losses import BCE
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.objective import RankingLoss, Supervised, Term
from pyg_advinfonce.terms import ItemGraph, TableL2


def build_ultragcn(
    graph: HeteroData,
    loss: RankingLoss,
    *,
    lr: float = 1e-3,
    l2: float = 1e-5,
    l2_options: Mapping[str, Any] | None = None,
    item_weight: float = 5e-4,
    num_neighbors: int = 10,
    item_graph: Literal["code", "paper"] = "code",
    constraint_weight: float = 1.0,
    constraint_negative_weight: float = 1.0,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    r"""Build UltraGCN.

    With :class:`~pyg_advinfonce.losses.BCE` the objective is the authors': BCE, the
    item graph and the L2 penalty on whole tables. Another loss replaces the unweighted
    part of BCE; the part that :math:`\beta` weights remains as the term
    ``constraint``, and the L2 penalty is on the batch's rows. This composition is a
    reconstruction: the paper's is not published (docs/methods.md 1.3, D15).

    Args:
        graph: User-item graph.
        loss: Ranking loss.
        lr: Learning rate.
        l2: Weight of the L2 penalty.
        l2_options: Arguments of :class:`~pyg_advinfonce.terms.EmbeddingL2`, which is
            the penalty with other losses than BCE.
        item_weight: Weight of the item graph.
        num_neighbors: Number of neighbours per item in the item graph.
        item_graph: Formula of the item graph's weights: that of the authors' ``code``
            or of the ``paper``.
        constraint_weight: Weight of ``constraint``, used with other losses than BCE.
        constraint_negative_weight: Weight of the negatives in ``constraint``.
        **encoder: Arguments of :class:`~pyg_advinfonce.encoders.UltraGCN`.
    """
    terms: dict[str, tuple[float, Term]] = {}
    if isinstance(loss, BCE):
        terms["l2"] = l2, TableL2()
    else:
        beta = {"w1": 0.0, "w2": 1.0, "w3": 0.0, "w4": 1.0}
        constraint = BCE.from_graph(
            graph, negative_weight=constraint_negative_weight, **beta
        )
        terms["constraint"] = constraint_weight, Supervised(constraint)
    if item_weight:  # computing the item graph takes seconds
        reduction = loss.reduction if isinstance(loss, BCE) else "mean"
        similar = ItemGraph.from_graph(
            graph, num_neighbors=num_neighbors, form=item_graph, reduction=reduction
        )
        terms["item_graph"] = item_weight, similar
    return Method.compose(
        UltraGCN(*num_nodes(graph), **encoder),
        loss,
        terms=terms,
        lr=lr,
        l2=l2,
        l2_options=l2_options,
    )
