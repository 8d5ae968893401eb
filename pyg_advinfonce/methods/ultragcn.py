"""UltraGCN with its own loss or another criterion."""

from typing import Any, Literal

from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import UltraGCN
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.losses import BCE, Criterion
from pyg_advinfonce.methods.base import Method, Supervised, ranking_term
from pyg_advinfonce.objective import Objective, Phase, RankingTerm
from pyg_advinfonce.terms import EmbeddingL2, ItemGraph, TableL2


def build_ultragcn(
    graph: HeteroData,
    criterion: Criterion | RankingTerm,
    *,
    lr: float = 1e-3,
    l2: float = 1e-5,
    item_weight: float = 5e-4,
    num_neighbors: int = 10,
    item_graph: Literal["code", "paper"] = "code",
    constraint_weight: float = 1.0,
    constraint_negative_weight: float = 1.0,
    **encoder: Any,  # noqa: ANN401
) -> Method:
    r"""Build UltraGCN.

    With its own :class:`~pyg_advinfonce.losses.BCE` the objective is the authors':
    that, the item graph and the L2 penalty on whole tables. Another criterion takes the
    place of the unweighted part of that loss; its other part stays as a term of its
    own, and the penalty is that of the batch's rows. The latter composition is a
    reconstruction: the paper's is not published (docs/methods.md 1.3, D15).

    Args:
        graph: The user-item graph.
        criterion: The ranking loss.
        lr: The learning rate.
        l2: The weight of the L2 penalty.
        item_weight: The weight of the item graph.
        num_neighbors: How many neighbours an item has in the item graph.
        item_graph: How the item graph's weights are computed.
        constraint_weight: With another criterion, the weight of the part of the
            authors' loss that :math:`\beta` weighs.
        constraint_negative_weight: The weight of the negatives in that part.
        **encoder: Arguments of :class:`~pyg_advinfonce.encoders.UltraGCN`.
    """
    terms = {"rec": ranking_term(criterion)}
    if isinstance(criterion, BCE):
        reduction, terms["l2"] = criterion.reduction, TableL2()
    else:
        reduction, terms["l2"] = "mean", EmbeddingL2(criterion.l2_negatives)
        beta = {"w1": 0.0, "w2": 1.0, "w3": 0.0, "w4": 1.0}
        constraint = BCE.from_graph(
            graph, negative_weight=constraint_negative_weight, **beta
        )
        terms["constraint"] = Supervised(constraint)
    if item_weight:  # the product of the whole graph costs seconds
        terms["item_graph"] = ItemGraph.from_graph(
            graph, num_neighbors=num_neighbors, form=item_graph, reduction=reduction
        )
    weights = {"constraint": constraint_weight, "item_graph": item_weight, "l2": l2}
    objective = Objective(terms, weights)
    main = Phase("main", objective, lr=lr)
    return Method(
        UltraGCN(*num_nodes(graph), **encoder),
        objective,
        criterion.phases(main),
        cosine=criterion.cosine,
    )
