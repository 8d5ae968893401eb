"""LightGCN, and matrix factorisation as LightGCN without layers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary
from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders.base import Embeddings, Encoder
from pyg_advinfonce.encoders.bipartite_conv import BipartiteConv
from pyg_advinfonce.errors import GraphError
from pyg_advinfonce.graph import INTERACTS, ITEM, REV_INTERACTS, USER
from pyg_advinfonce.ops import Adjacency

Tables = tuple[Tensor, Tensor]


class LightGCN(Encoder):
    r"""Linear propagation over the user-item graph, of `"LightGCN: Simplifying and
    Powering Graph Convolution Network for Recommendation"
    <https://arxiv.org/abs/2002.02126>`_.

    .. math::
        Z = \sum_{k=0}^{L} \alpha_k \hat{A}^k E

    The graph needs the weights of
    :class:`~pyg_advinfonce.transforms.bipartite_norm.BipartiteNorm`. Without layers
    this is matrix factorisation.

    Args:
        num_users: The number of users.
        num_items: The number of items.
        dim: The width of the embeddings.
        num_layers: ``L``.
        alpha: The layers' weights ``[L + 1]`` (default: all equal).

    Shapes:
        - **output:** ``user`` ``[U, D]``, ``item`` ``[I, D]``, ``L + 1`` layers
    """  # noqa: D205

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dim: int = 64,
        num_layers: int = 2,
        alpha: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if dim < 1 or num_layers < 0:
            raise ValueError(
                "dim must be positive, num_layers not negative "
                f"(got {dim}, {num_layers})"
            )
        if alpha is not None and len(alpha) != num_layers + 1:
            raise ValueError(
                f"alpha needs {num_layers + 1} weights, one a layer (got {len(alpha)})"
            )
        self.alpha = None if alpha is None else tuple(alpha)
        self.user = nn.Parameter(torch.empty(num_users, dim, device="cpu"))
        self.item = nn.Parameter(torch.empty(num_items, dim, device="cpu"))
        self.convs = nn.ModuleList(BipartiteConv() for _ in range(num_layers))
        self._adjacency = WeakTensorKeyDictionary()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw both tables anew, each by Xavier's normal rule."""
        nn.init.xavier_normal_(self.user)
        nn.init.xavier_normal_(self.item)

    def forward(
        self, graph: HeteroData | Sequence[HeteroData], *, perturb: bool | None = None
    ) -> Embeddings:
        graphs = self._one_a_layer(graph)
        layers = [self._tables(graphs[0] if graphs else graph)]
        for conv, view in zip(self.convs, graphs, strict=True):
            user, item = layers[-1]
            to_item = self._relation(view, INTERACTS, (user, item))
            to_user = self._relation(view, REV_INTERACTS, (item, user))
            layers.append((conv(item, to_user), conv(user, to_item)))
        user, item = (self._mean(tables) for tables in zip(*layers, strict=True))
        return Embeddings(user, item, tuple(layers))

    def _one_a_layer(
        self, graph: HeteroData | Sequence[HeteroData]
    ) -> Sequence[HeteroData]:
        if isinstance(graph, HeteroData):
            return [graph] * len(self.convs)
        if len(graph) != len(self.convs):
            raise ValueError(
                f"expected one graph for each of {len(self.convs)} layers "
                f"(got {len(graph)})"
            )
        return graph

    def _tables(self, graph: HeteroData | Sequence[HeteroData]) -> Tables:
        """Return the rows of the graph's nodes, which may be a sample of all nodes."""
        if not isinstance(graph, HeteroData):
            return self.user, self.item
        user, item = (graph[node].get("n_id") for node in (USER, ITEM))
        return (
            self.user if user is None else self.user.index_select(0, user),
            self.item if item is None else self.item.index_select(0, item),
        )

    def _relation(
        self, graph: HeteroData, edge_type: tuple[str, str, str], tables: Tables
    ) -> Adjacency:
        if edge_type not in graph.edge_types:
            raise GraphError(
                f"the graph has no edges {edge_type}: messages must run both ways, "
                "apply torch_geometric.transforms.ToUndirected()"
            )
        edges = graph[edge_type]
        if "edge_weight" not in edges:
            raise GraphError(f"edges {edge_type} lack weights: apply BipartiteNorm()")
        # By edge type too: both directions may share one tensor of weights.
        kept = self._adjacency.setdefault(edges.edge_weight, {})
        edge_index, found = kept.get(edge_type, (None, None))
        if edge_index is not edges.edge_index:
            sizes = (tables[0].size(0), tables[1].size(0))
            found = Adjacency.from_edge_index(
                edges.edge_index, edges.edge_weight, *sizes
            )
            kept[edge_type] = (edges.edge_index, found)
        return found

    def _mean(self, tables: Sequence[Tensor]) -> Tensor:
        if self.alpha is not None:
            parts = [a * x for a, x in zip(self.alpha, tables, strict=True)]
            return torch.stack(parts).sum(0)
        total = tables[0]
        for table in tables[1:]:
            total = total + table
        return total if len(tables) == 1 else total * (1 / len(tables))
