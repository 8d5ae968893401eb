"""Augmentations that drop edges, nodes, or other edges in each layer."""

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
    num_nodes,
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
    :class:`~pyg_advinfonce.transforms.BipartiteNorm` follow.

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


@functional_transform("node_drop")
class NodeDrop(BaseTransform):
    r"""Isolate :math:`\lfloor p \, U \rfloor` users and :math:`\lfloor p \, I \rfloor`
    items, as in the node dropout of `"Self-supervised Graph Learning for
    Recommendation" <https://arxiv.org/abs/2010.10783>`_.

    They are drawn uniformly and lose all their edges, in both directions, but keep
    their ids and so their own rows. Weights are not renewed: let
    :class:`~pyg_advinfonce.transforms.BipartiteNorm` follow.

    Args:
        p: The share of users, and of items, to isolate.
    """  # noqa: D205

    def __init__(self, p: float) -> None:
        self.p = check_share(p)

    def forward(self, data: HeteroData) -> HeteroData:
        num_users, num_items = num_nodes(data)
        user, item = split_edges(data, "train")
        stays_user = self._draw(num_users, user.device)  # [U]
        stays_item = self._draw(num_items, item.device)  # [I]
        return keep_edges(data, stays_user[user] & stays_item[item])

    def _draw(self, count: int, device: torch.device) -> Tensor:
        """Tell of each of some nodes whether it stays."""
        stays = torch.ones(count, dtype=torch.bool, device=device)
        order = torch.randperm(count, device=device)
        stays[order[: share_of(count, exact(self.p))]] = False
        return stays

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.p})"


@functional_transform("random_walk_drop")
class RandomWalkDrop(BaseTransform):
    """Make one graph a layer, each with edges of its own, as in the random walk of
    `"Self-supervised Graph Learning for Recommendation"
    <https://arxiv.org/abs/2010.10783>`_.

    Args:
        p: The share of edges that each graph drops, as in
            :class:`~pyg_advinfonce.transforms.EdgeDrop`.
        num_layers: The number of graphs.
    """  # noqa: D205

    def __init__(self, p: float, num_layers: int) -> None:
        if num_layers < 1:
            raise ValueError(f"num_layers must be positive (got {num_layers})")
        self.drop, self.num_layers = EdgeDrop(p), num_layers

    def forward(self, data: HeteroData) -> list[HeteroData]:
        return [self.drop(data) for _ in range(self.num_layers)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.drop.p}, {self.num_layers})"
