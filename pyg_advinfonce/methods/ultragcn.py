"""UltraGCN with its own loss or another one."""

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
    l2_negatives: bool = False,
    item_weight: float = 5e-4,
    num_neighbors: int = 10,
    item_graph: Literal["code", "paper"] = "code",
    constraint_weight: float = 1.0,
    constraint_negative_weight: float = 1.0,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    r"""Build UltraGCN.

    With its own :class:`~pyg_advinfonce.losses.BCE` the objective is the authors':
    that, the item graph and the L2 penalty on whole tables. Another loss takes the
    place of the unweighted part of that loss; its other part stays as a term of its
    own, and the penalty is that of the batch's rows. The latter composition is a
    reconstruction: the paper's is not published (docs/methods.md 1.3, D15).

    Args:
        graph: The user-item graph.
        loss: The ranking loss.
        lr: The learning rate.
        l2: The weight of the L2 penalty.
        l2_negatives: Whether that of the batch's rows counts the negatives' as well;
            whole tables have them anyway.
        item_weight: The weight of the item graph.
        num_neighbors: How many neighbours an item has in the item graph.
        item_graph: How the item graph's weights are computed.
        constraint_weight: With another loss, the weight of the part of the
            authors' loss that :math:`\beta` weighs.
        constraint_negative_weight: The weight of the negatives in that part.
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
    if item_weight:  # the product of the whole graph costs seconds
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
        l2_negatives=l2_negatives,
    )
