"""Views of a user-item graph that lack some edges."""

import math
from fractions import Fraction

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from pyg_advinfonce.errors import GraphError
from pyg_advinfonce.graph import (
    INTERACTS,
    REV_INTERACTS,
    relation_edges,
    split_edges,
    with_edge_index,
)


@functional_transform("edge_drop")
class EdgeDrop(BaseTransform):
    r"""Keep :math:`\lfloor |O| (1 - p) \rfloor` of the edges, as in the edge dropout of
    `"Self-supervised Graph Learning for Recommendation"
    <https://arxiv.org/abs/2010.10783>`_.

    They are drawn uniformly without replacement, and both directions keep the same
    ones. Nodes keep their ids. Weights are not renewed: let
    :class:`~pyg_advinfonce.transforms.bipartite_norm.BipartiteNorm` follow.

    Args:
        p: The share of edges to drop.
    """  # noqa: D205

    def __init__(self, p: float) -> None:
        self.p = check_share(p)

    def forward(self, data: HeteroData) -> HeteroData:
        edge_index = split_edges(data, "train")
        num_edges = edge_index.size(1)
        order = torch.randperm(num_edges, device=edge_index.device)
        keep = torch.zeros(num_edges, dtype=torch.bool, device=edge_index.device)
        keep[order[: share_of(num_edges, 1 - exact(self.p))]] = True
        return keep_edges(data, keep)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.p})"


def check_share(p: float) -> float:
    """Return p if it is a share of what there is to drop.

    Raises:
        ValueError: If it is not from 0 to below 1.
    """
    if not 0 <= p < 1:
        raise ValueError(f"drop must be in [0, 1) (got {p})")
    return p


def exact(share: float) -> Fraction:
    """Return the decimal number that a float is written as: 10 * (1 - 0.9) is 1."""
    return Fraction(str(share))


def share_of(count: int, share: Fraction) -> int:
    """Return the floor of a share of a count."""
    return math.floor(count * share)


def keep_edges(data: HeteroData, keep: Tensor) -> HeteroData:
    """Return a shallow copy with some of the edges, in both directions.

    Args:
        data: The user-item graph.
        keep: ``[E]`` bool, by place among the edges from users to items.
    """
    data = with_edge_index(data)
    kept = {INTERACTS: keep}
    if REV_INTERACTS in data.edge_types:
        kept[REV_INTERACTS] = _in_reverse(data, keep)
    return data.edge_subgraph(kept)


def _in_reverse(data: HeteroData, keep: Tensor) -> Tensor:
    """Find the same edges among those from items to users, whatever their order."""
    there = relation_edges(data, INTERACTS)[0]
    back = relation_edges(data, REV_INTERACTS)[0].flip(0)
    if torch.equal(there, back):
        return keep
    first, second = _by_pair(there), _by_pair(back)
    if there.shape != back.shape or not torch.equal(there[:, first], back[:, second]):
        raise GraphError(
            f"{REV_INTERACTS} must hold the edges of {INTERACTS}, flipped: "
            "apply torch_geometric.transforms.ToUndirected()"
        )
    found = torch.empty_like(keep)
    found[second] = keep[first]
    return found


def _by_pair(edge_index: Tensor) -> Tensor:
    """Return the order ``[E]`` by user, then by item."""
    by_item = edge_index[1].argsort(stable=True)
    return by_item[edge_index[0][by_item].argsort(stable=True)]
