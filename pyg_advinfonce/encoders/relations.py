"""What an encoder reads of a graph: rows of nodes, graphs of layers, messages."""

from collections.abc import Sequence

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary
from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders.layers import Relations, Tables
from pyg_advinfonce.errors import GraphError
from pyg_advinfonce.graph import (
    INTERACTS,
    ITEM,
    REV_INTERACTS,
    USER,
    EdgeType,
    relation_edges,
    stored_tensors,
)
from pyg_advinfonce.ops import Adjacency


def node_rows(
    graph: HeteroData | Sequence[HeteroData], user: Tensor, item: Tensor
) -> Tables:
    """Return the rows of the graph's nodes, which may be a sample of all nodes."""
    first = graph if isinstance(graph, HeteroData) else next(iter(graph), None)
    if first is None:
        return user, item
    user_id, item_id = (first[node].get("n_id") for node in (USER, ITEM))
    return (
        user if user_id is None else user.index_select(0, user_id),
        item if item_id is None else item.index_select(0, item_id),
    )


def one_a_layer(
    graph: HeteroData | Sequence[HeteroData], num_layers: int
) -> Sequence[HeteroData]:
    """Return one graph for each layer.

    Raises:
        ValueError: If there is a list of another length.
    """
    if isinstance(graph, HeteroData):
        return [graph] * num_layers
    if len(graph) != num_layers:
        raise ValueError(
            f"expected one graph for each of {num_layers} layers (got {len(graph)})"
        )
    return graph


class RelationCache:
    """Both directions of a graph's messages, sorted once for what they lie in."""

    def __init__(self) -> None:
        self._kept = WeakTensorKeyDictionary()

    def __call__(self, graph: HeteroData, tables: Tables) -> Relations:
        """Return the messages to users and those to items.

        Raises:
            GraphError: If the graph lacks a direction or its weights.
        """
        sizes = (tables[0].size(0), tables[1].size(0))
        to_item = self._adjacency_of(graph, INTERACTS, sizes)
        return self._adjacency_of(graph, REV_INTERACTS, sizes[::-1]), to_item

    def _adjacency_of(
        self, graph: HeteroData, edge_type: EdgeType, sizes: tuple[int, ...]
    ) -> Adjacency:
        first, *others = stored_tensors(graph, edge_type)
        # By edge type too: both directions may share one tensor of weights.
        kept = self._kept.setdefault(first, {})
        seen, found = kept.get(edge_type, ((), None))
        if found is None or any(a is not b for a, b in zip(seen, others, strict=True)):
            found = _adjacency(graph, edge_type, sizes)
            kept[edge_type] = (others, found)
        return found


def _adjacency(
    graph: HeteroData, edge_type: EdgeType, sizes: tuple[int, ...]
) -> Adjacency:
    edge_index, weight = relation_edges(graph, edge_type)
    if weight is None:
        raise GraphError(f"edges {edge_type} lack weights: apply BipartiteNorm()")
    return Adjacency.from_edge_index(edge_index, weight, *sizes)
