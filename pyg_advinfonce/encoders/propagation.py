"""Light graph convolution over a bipartite graph: one relation, and layers of both."""

from collections.abc import Callable, Sequence
from typing import overload

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.nn import LGConv

from pyg_advinfonce.graph import (
    INTERACTS,
    ITEM,
    REV_INTERACTS,
    USER,
    TensorCache,
    shared_pairs,
    stored_tensors,
    weighted_edges,
)
from pyg_advinfonce.ops import CSR, Adjacency, propagate


class BipartiteConv(LGConv):
    r"""PyG's :class:`~torch_geometric.nn.conv.LGConv` for one relation of a user-item
    graph, with a fused product: :math:`y_i = \sum_j w_{ij} x_j`.

    Shapes:
        - **x:** ``[M, D]`` sources; **adjacency:** ``[N, M]``; **output:** ``[N, D]``
    """  # noqa: D205

    def __init__(self) -> None:
        super().__init__(normalize=False)

    def forward(self, x: Tensor, adjacency: Adjacency) -> Tensor:
        adj_t = adjacency.matrix.to_torch()
        # propagate_type: (x: Tensor, adjacency: Adjacency)
        out: Tensor = self.propagate(adj_t, x=x, adjacency=adjacency)
        return out

    def message_and_aggregate(
        self, adj_t: Tensor, x: Tensor, adjacency: Adjacency
    ) -> Tensor:
        return propagate(adjacency, x)


Tables = tuple[Tensor, Tensor]
Relations = tuple[Adjacency, Adjacency]


class Layers(Sequence[Tables]):
    """Embeddings of users and items after each layer, computed once and on demand.

    Args:
        tables: ``[U, D]`` and ``[I, D]``, layer 0.
        convs: One convolution per layer, called with rows and an adjacency.
        relations: Adjacencies to users and to items, one pair per layer.
        perturb: Applied to the rows after each layer, before the next layer.
    """

    def __init__(
        self,
        tables: Tables,
        convs: nn.ModuleList,
        relations: Sequence[Relations],
        perturb: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self._made: list[Tables] = [tables]
        self._convs, self._relations, self._perturb = convs, relations, perturb

    def __len__(self) -> int:
        return len(self._relations) + 1

    @overload
    def __getitem__(self, index: int) -> Tables: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Tables]: ...
    def __getitem__(self, index: int | slice) -> Tables | Sequence[Tables]:
        places = range(len(self))[index]
        if isinstance(places, range):
            return [self._layer(k) for k in places]
        return self._layer(places)

    def _layer(self, k: int) -> Tables:
        while len(self._made) <= k:
            place = len(self._made) - 1
            user, item = self._made[-1]
            to_user, to_item = self._relations[place]
            conv = self._convs[place]
            user, item = conv(item, to_user), conv(user, to_item)
            if self._perturb is not None:
                user, item = self._perturb(user), self._perturb(item)
            self._made.append((user, item))
        return self._made[k]


def node_rows(
    graph: HeteroData | Sequence[HeteroData], user: Tensor, item: Tensor
) -> Tables:
    """Return the rows of the graph's nodes; a sampled graph lists them in ``n_id``."""
    first = graph if isinstance(graph, HeteroData) else next(iter(graph), None)
    if first is None:
        return user, item
    user_id, item_id = (first[node].get("n_id") for node in (USER, ITEM))
    return (
        user if user_id is None else user.index_select(0, user_id),
        item if item_id is None else item.index_select(0, item_id),
    )


def graph_per_layer(
    graph: HeteroData | Sequence[HeteroData], num_layers: int
) -> Sequence[HeteroData]:
    """Return one graph per layer.

    Raises:
        ValueError: If a list has a different length.
    """
    if isinstance(graph, HeteroData):
        return [graph] * num_layers
    if len(graph) != num_layers:
        raise ValueError(
            f"expected one graph per layer, {num_layers} in all (got {len(graph)})"
        )
    return graph


class RelationCache:
    """Adjacencies of both directions of a graph, cached by their tensors."""

    def __init__(self) -> None:
        self._cache: TensorCache[Relations] = TensorCache()

    def __call__(self, graph: HeteroData, tables: Tables) -> Relations:
        """Return the adjacencies to users and to items, which share their matrices.

        They do not if a user's graph holds other edges or weights in each direction.

        Raises:
            GraphError: If the graph lacks a direction or its edge weights.
        """
        sizes = (tables[0].size(0), tables[1].size(0))
        tensors = [*stored_tensors(graph, INTERACTS)]
        tensors += stored_tensors(graph, REV_INTERACTS)
        return self._cache(tensors, lambda: _relations(graph, sizes), sizes)


def _relations(graph: HeteroData, sizes: tuple[int, int]) -> Relations:
    forward, reverse = graph[INTERACTS], graph[REV_INTERACTS]
    pairs, weight = shared_pairs(graph), forward.get("edge_weight")
    is_shared = weight is not None and weight is reverse.get("edge_weight")
    if pairs is not None and is_shared and len(pairs.start) == sizes[0] + 1:
        # Detached, so that the cache does not keep its own key.
        start, item, value = (x.detach() for x in (pairs.start, pairs.item, weight))
        to_user = Adjacency.of(CSR(start, item, value, sizes[1]))
        return to_user, to_user.t()
    (edges, weight), (back, other) = (
        weighted_edges(graph, edge_type) for edge_type in (INTERACTS, REV_INTERACTS)
    )
    to_item = Adjacency.from_edge_index(edges, weight, *sizes)
    if torch.equal(back.flip(0), edges) and torch.equal(weight, other):
        return to_item.t(), to_item
    return Adjacency.from_edge_index(back, other, *sizes[::-1]), to_item
