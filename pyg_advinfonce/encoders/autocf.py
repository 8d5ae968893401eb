"""AutoCF's encoder and decoder."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary
from torch_geometric.data import Data, HeteroData
from torch_geometric.utils import degree

from pyg_advinfonce.encoders.base import Embeddings, Encoder
from pyg_advinfonce.encoders.bipartite_conv import BipartiteConv
from pyg_advinfonce.encoders.graph_transformer import GraphTransformer
from pyg_advinfonce.errors import GraphError
from pyg_advinfonce.graph import INTERACTS, stored_tensors
from pyg_advinfonce.ops import Adjacency
from pyg_advinfonce.transforms.joint_graph import JointGraph


class AutoCF(Encoder):
    r"""Linear propagation and one graph transformer, of `"Automated Self-Supervised
    Learning for Recommendation" <https://arxiv.org/abs/2303.07797>`_.

    .. math::
        Z = E + \hat{A} E + \ldots + \hat{A}^L E + \mathrm{Attention}(\hat{A}^L E)

    over users and items together, where :math:`\hat{A}` is the normalised adjacency
    with self-loops. A user-item graph serves both parts. In training,
    :class:`~pyg_advinfonce.terms.autocf_loss.AutoCFLoss` gives each its own.

    Args:
        num_users: The number of users.
        num_items: The number of items.
        dim: The width of the embeddings; the authors use 32, and so does the model
            ``autocf``.
        num_layers: ``L``.
        num_heads: The heads of the transformer, a divisor of ``dim``.

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
    ) -> None:
        super().__init__()
        if num_layers < 0:
            raise ValueError(f"num_layers must not be negative (got {num_layers})")
        self.user = nn.Parameter(torch.empty(num_users, dim, device="cpu"))
        self.item = nn.Parameter(torch.empty(num_items, dim, device="cpu"))
        self.convs = nn.ModuleList(BipartiteConv() for _ in range(num_layers))
        self.transformer = GraphTransformer(dim, num_heads)
        self._joint = WeakTensorKeyDictionary()
        self._adjacency = WeakTensorKeyDictionary()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw both tables, by Xavier's normal rule, and the transformer anew."""
        nn.init.xavier_normal_(self.user)
        nn.init.xavier_normal_(self.item)
        self.transformer.reset_parameters()

    def forward(
        self, graph: HeteroData | Sequence[Data], *, perturb: bool | None = None
    ) -> Embeddings:
        """Encode a user-item graph, or two graphs over users and items together.

        Args:
            graph: One graph for both parts, or two as those of
                :class:`~pyg_advinfonce.transforms.joint_graph.JointGraph`: one for the
                propagation and one for the transformer.
            perturb: Without effect.
        """
        masked, rebuilt = (self._adjacency_of(view) for view in self._views(graph))
        layers = [torch.cat([self.user, self.item])]  # [U + I, D]
        for conv in self.convs:
            layers.append(conv(layers[-1], masked))
        layers.append(self.transformer(layers[-1], rebuilt))
        tables = [self._halves(x) for x in layers]
        return Embeddings(*self._halves(torch.stack(layers).sum(0)), tables)

    def _views(self, graph: HeteroData | Sequence[Data]) -> tuple[Data, Data]:
        if isinstance(graph, HeteroData):
            edges = stored_tensors(graph, INTERACTS)[-1]
            if edges not in self._joint:
                self._joint[edges] = JointGraph()(graph)
            return self._joint[edges], self._joint[edges]
        masked, rebuilt = graph
        return masked, rebuilt

    def _adjacency_of(self, view: Data) -> Adjacency:
        """Return a graph's normalised adjacency, made once a graph."""
        size = self.user.size(0) + self.item.size(0)
        if view.num_nodes != size:
            raise GraphError(
                f"AutoCF needs the whole graph of {size} users and items "
                f"(got {view.num_nodes})"
            )
        if view.edge_index not in self._adjacency:
            self._adjacency[view.edge_index] = Adjacency.from_edge_index(
                view.edge_index, self._weights(view.edge_index, size), size, size
            )
        found: Adjacency = self._adjacency[view.edge_index]
        return found

    def _weights(self, edge_index: Tensor, size: int) -> Tensor:
        src, dst = edge_index
        scale = degree(dst, size, dtype=self.user.dtype).rsqrt()  # [U + I]
        return scale[src] * scale[dst]

    def _halves(self, table: Tensor) -> tuple[Tensor, Tensor]:
        user, item = table.split([self.user.size(0), self.item.size(0)])
        return user, item
