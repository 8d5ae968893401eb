"""Encoder and decoder of AutoCF, with its graph transformer layer."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.utils import degree

from pyg_advinfonce.encoders.base import Embeddings, Encoder
from pyg_advinfonce.encoders.propagation import BipartiteConv
from pyg_advinfonce.errors import GraphError
from pyg_advinfonce.functional import check_choice, check_num_layers, reset_tables
from pyg_advinfonce.graph import INTERACTS, TensorCache, num_nodes, stored_tensors
from pyg_advinfonce.ops import Adjacency, edge_attention
from pyg_advinfonce.transforms import JointGraph


class GraphTransformer(nn.Module):
    r"""Graph transformer layer with dot-product attention over neighbours.

    .. math::
        y_i = \bigl\Vert_h \sum_{j \in \mathcal{N}(i)} a^h_{ij} W^h_v x_j, \quad
        a^h_{ij} = \frac{e^{s^h_{ij}}}{\sum_k e^{s^h_{ik}} + 10^{-8}}, \quad
        s^h_{ij} = \langle W^h_q x_i, W^h_k x_j \rangle

    Unlike PyG's :class:`~torch_geometric.nn.conv.TransformerConv`, scores are clamped
    to [-10, 10] and not divided by the root of their dimension, and the layer has
    neither bias nor skip connection (docs/methods.md 3.6).

    Args:
        dim: Embedding dimension ``D``.
        num_heads: Number of heads, a divisor of ``dim``.

    Shapes:
        - **x:** ``[N, D]``; **adjacency:** ``[N, N]``; **output:** ``[N, D]``
    """

    def __init__(self, dim: int, num_heads: int = 4) -> None:
        super().__init__()
        if dim < 1 or num_heads < 1 or dim % num_heads:
            raise ValueError(f"num_heads must divide dim {dim} (got {num_heads})")
        self.num_heads = num_heads
        self.query, self.key, self.value = (
            nn.Linear(dim, dim, bias=False, device="cpu") for _ in range(3)
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Reset the three weights by Xavier uniform initialisation."""
        for linear in (self.query, self.key, self.value):
            nn.init.xavier_uniform_(linear.weight)

    def forward(self, x: Tensor, adjacency: Adjacency) -> Tensor:
        parts = self.query(x), self.key(x), self.value(x)
        return edge_attention(*parts, adjacency, num_heads=self.num_heads)


class AutoCF(Encoder):
    r"""Linear propagation and one graph transformer, from `"Automated Self-Supervised
    Learning for Recommendation" <https://arxiv.org/abs/2303.07797>`_.

    .. math::
        Z = E + \hat{A} E + \ldots + \hat{A}^L E + \mathrm{Attention}(\hat{A}^L E)

    over users and items jointly, where :math:`\hat{A}` is the normalised adjacency with
    self-loops. By default both parts use the same graph; in training,
    :class:`~pyg_advinfonce.losses.AutoCFLoss` passes one graph per part.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dim: Embedding dimension; the authors and the model ``autocf`` use 32.
        num_layers: ``L``, the number of propagation layers.
        num_heads: Number of heads of the transformer, a divisor of ``dim``.
        init: Xavier's ``normal`` or ``uniform`` distribution of the first tables.

    Shapes:
        - **output:** ``user`` ``[U, D]``, ``item`` ``[I, D]``, ``L + 2`` layers
    """  # noqa: D205

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dim: int = 64,
        num_layers: int = 2,
        num_heads: int = 4,
        init: Literal["normal", "uniform"] = "normal",
    ) -> None:
        super().__init__()
        check_choice("normal", "uniform", init=init)
        self.init = init
        check_num_layers(num_layers=num_layers)
        self.user = nn.Parameter(torch.empty(num_users, dim, device="cpu"))
        self.item = nn.Parameter(torch.empty(num_items, dim, device="cpu"))
        self.convs = nn.ModuleList(BipartiteConv() for _ in range(num_layers))
        self.transformer = GraphTransformer(dim, num_heads)
        self._joint: TensorCache[Data] = TensorCache()
        self._adjacency: TensorCache[Adjacency] = TensorCache()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Reset both tables by Xavier initialisation, and the transformer."""
        reset_tables(self.user.size(1), self.user, self.item, init=self.init)
        self.transformer.reset_parameters()

    def forward(
        self, graph: HeteroData | Sequence[Data], *, perturb: bool | None = None
    ) -> Embeddings:
        """Encode a user-item graph, or two joint graphs of users and items.

        Args:
            graph: One user-item graph for both parts, or two graphs as made by
                :class:`~pyg_advinfonce.transforms.JointGraph`: one for the propagation
                and one for the transformer.
            perturb: No effect.
        """
        masked, rebuilt = (self._adjacency_of(view) for view in self._views(graph))
        layers = [torch.cat([self.user, self.item])]  # [U + I, D]
        for conv in self.convs:
            layers.append(conv(layers[-1], masked))
        layers.append(self.transformer(layers[-1], rebuilt))
        tables = [self._split(x) for x in layers]
        return Embeddings(*self._split(torch.stack(layers).sum(0)), tables)

    def _views(self, graph: HeteroData | Sequence[Data]) -> tuple[Data, Data]:
        if isinstance(graph, HeteroData):
            edges = stored_tensors(graph, INTERACTS)
            joint = self._joint(edges, lambda: JointGraph()(graph), num_nodes(graph))
            return joint, joint
        masked, rebuilt = graph
        return masked, rebuilt

    def _adjacency_of(self, view: Data) -> Adjacency:
        """Return the normalised adjacency, cached per graph."""
        size = self.user.size(0) + self.item.size(0)
        if view.num_nodes != size:
            raise GraphError(
                f"AutoCF needs the whole graph of {size} users and items "
                f"(got {view.num_nodes})"
            )
        edges, dtype = view.edge_index, self.user.dtype
        return self._adjacency([edges], lambda: _normalised(edges, size, dtype), dtype)

    def _split(self, table: Tensor) -> tuple[Tensor, Tensor]:
        user, item = table.split([self.user.size(0), self.item.size(0)])
        return user, item


def _normalised(edge_index: Tensor, size: int, dtype: torch.dtype) -> Adjacency:
    src, dst = edge_index
    scale = degree(dst, size, dtype=dtype).rsqrt()  # [U + I]
    weight = scale[src] * scale[dst]
    return Adjacency.from_edge_index(edge_index, weight, size, size)
