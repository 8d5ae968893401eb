"""Light graph convolution over a bipartite graph: one relation, and layers of both."""

from collections.abc import Callable, Sequence
from typing import overload

from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.nn import LGConv

from pyg_advinfonce.graph import (
    INTERACTS,
    ITEM,
    REV_INTERACTS,
    USER,
    EdgeType,
    TensorCache,
    stored_tensors,
    weighted_edges,
)
from pyg_advinfonce.ops import Adjacency, propagate


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
        self._cache: TensorCache[Adjacency] = TensorCache()

    def __call__(self, graph: HeteroData, tables: Tables) -> Relations:
        """Return the adjacencies to users and to items.

        Raises:
            GraphError: If the graph lacks a direction or its edge weights.
        """
        sizes = (tables[0].size(0), tables[1].size(0))
        to_item = self._adjacency_of(graph, INTERACTS, sizes)
        return self._adjacency_of(graph, REV_INTERACTS, sizes[::-1]), to_item

    def _adjacency_of(
        self, graph: HeteroData, edge_type: EdgeType, sizes: tuple[int, ...]
    ) -> Adjacency:
        return self._cache(
            stored_tensors(graph, edge_type),
            lambda: _adjacency(graph, edge_type, sizes),
            edge_type,
            sizes,
        )


def _adjacency(
    graph: HeteroData, edge_type: EdgeType, sizes: tuple[int, ...]
) -> Adjacency:
    edge_index, weight = weighted_edges(graph, edge_type)
    return Adjacency.from_edge_index(edge_index, weight, *sizes)
