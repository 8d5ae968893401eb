"""Graph augmentations: edge, node and random-walk dropout."""

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

    Edges are drawn uniformly without replacement, and both directions keep the same
    edges. Nodes keep their ids. Edge weights are not updated: apply
    :class:`~pyg_advinfonce.transforms.BipartiteNorm` afterwards.

    Args:
        p: Fraction of edges to drop.
    """  # noqa: D205

    def __init__(self, p: float) -> None:
        self.p = check_probability(p)

    def forward(self, data: HeteroData) -> HeteroData:
        edge_index = split_edges(data, "train")
        num_edges = edge_index.size(1)
        order = torch.randperm(num_edges, device=edge_index.device)
        keep = torch.zeros(num_edges, dtype=torch.bool, device=edge_index.device)
        keep[order[: math.floor(num_edges * (1 - as_fraction(self.p)))]] = True
        return keep_edges(data, keep)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.p})"


def check_probability(p: float) -> float:
    """Return ``p`` if it is in [0, 1).

    Raises:
        ValueError: If ``p`` is not in [0, 1).
    """
    if not 0 <= p < 1:
        raise ValueError(f"drop must be in [0, 1) (got {p})")
    return p


def as_fraction(p: float) -> Fraction:
    """Return a float as the decimal it is printed as, so that 10 * (1 - 0.9) is 1."""
    return Fraction(str(p))


def keep_edges(data: HeteroData, keep: Tensor) -> HeteroData:
    """Return a shallow copy with a subset of edges, in both directions.

    Args:
        data: The user-item graph.
        keep: ``[E]`` bool mask over the edges from users to items.
    """
    data = with_edge_index(data)
    kept = {INTERACTS: keep}
    if REV_INTERACTS in data.edge_types:
        kept[REV_INTERACTS] = _in_reverse(data, keep)
    return data.edge_subgraph(kept)


def _in_reverse(data: HeteroData, keep: Tensor) -> Tensor:
    """Return the mask over the edges from items to users, in any order."""
    forward = relation_edges(data, INTERACTS)[0]
    backward = relation_edges(data, REV_INTERACTS)[0].flip(0)
    if torch.equal(forward, backward):
        return keep
    first, second = _by_pair(forward), _by_pair(backward)
    if forward.shape != backward.shape or not torch.equal(
        forward[:, first], backward[:, second]
    ):
        raise GraphError(
            f"{REV_INTERACTS} must hold the edges of {INTERACTS}, flipped: "
            "apply torch_geometric.transforms.ToUndirected()"
        )
    found = torch.empty_like(keep)
    found[second] = keep[first]
    return found


def _by_pair(edge_index: Tensor) -> Tensor:
    """Return the permutation ``[E]`` that sorts by user, then item."""
    by_item = edge_index[1].argsort(stable=True)
    return by_item[edge_index[0][by_item].argsort(stable=True)]


@functional_transform("node_drop")
class NodeDrop(BaseTransform):
    r"""Isolate :math:`\lfloor p \, U \rfloor` users and :math:`\lfloor p \, I \rfloor`
    items, as in the node dropout of `"Self-supervised Graph Learning for
    Recommendation" <https://arxiv.org/abs/2010.10783>`_.

    Nodes are drawn uniformly and lose all edges in both directions, but keep their ids
    and rows. Edge weights are not updated: apply
    :class:`~pyg_advinfonce.transforms.BipartiteNorm` afterwards.

    Args:
        p: Fraction of users, and of items, to isolate.
    """  # noqa: D205

    def __init__(self, p: float) -> None:
        self.p = check_probability(p)

    def forward(self, data: HeteroData) -> HeteroData:
        num_users, num_items = num_nodes(data)
        user, item = split_edges(data, "train")
        stays_user = self._draw(num_users, user.device)  # [U]
        stays_item = self._draw(num_items, item.device)  # [I]
        return keep_edges(data, stays_user[user] & stays_item[item])

    def _draw(self, count: int, device: torch.device) -> Tensor:
        """Draw the mask of nodes that keep their edges."""
        stays = torch.ones(count, dtype=torch.bool, device=device)
        order = torch.randperm(count, device=device)
        stays[order[: math.floor(count * as_fraction(self.p))]] = False
        return stays

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.p})"


@functional_transform("random_walk_drop")
class RandomWalkDrop(BaseTransform):
    """Draw one edge-dropped graph per layer, as in the random walk of
    `"Self-supervised Graph Learning for Recommendation"
    <https://arxiv.org/abs/2010.10783>`_.

    Args:
        p: Fraction of edges to drop per graph, as in
            :class:`~pyg_advinfonce.transforms.EdgeDrop`.
        num_layers: Number of graphs.
    """  # noqa: D205

    def __init__(self, p: float, num_layers: int) -> None:
        if num_layers < 1:
            raise ValueError(f"num_layers must be positive (got {num_layers})")
        self.drop, self.num_layers = EdgeDrop(p), num_layers

    def forward(self, data: HeteroData) -> list[HeteroData]:
        return [self.drop(data) for _ in range(self.num_layers)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.drop.p}, {self.num_layers})"
