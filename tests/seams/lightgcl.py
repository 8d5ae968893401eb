"""LightGCL: a contrast with the graph's low-rank view (docs/methods.md 3.8)."""

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import INTERACTS, num_nodes
from pyg_advinfonce.methods import Method
from pyg_advinfonce.objective import RankingLoss, Step, Term
from pyg_advinfonce.ops import sum_log_partitions


class SVDContrast(Term):
    """Contrast embeddings, the sum of their layers, with a low-rank propagation."""

    needs_whole_graph = True
    user: Tensor  # [U, rank], U sqrt(S): the product with items' is the view's A
    item: Tensor  # [I, rank], V sqrt(S)

    def __init__(self, graph: HeteroData, rank: int = 5, tau: float = 0.2) -> None:
        super().__init__()
        edges = graph[INTERACTS]
        adjacency = torch.sparse_coo_tensor(
            edges.edge_index, edges.edge_weight, num_nodes(graph)
        )
        user, scale, item = torch.svd_lowrank(adjacency, q=rank)
        self.tau = tau
        self.register_buffer("user", user * scale.sqrt())
        self.register_buffer("item", item * scale.sqrt())

    def forward(self, step: Step) -> Tensor:
        z, batch = step.embeddings, step.batch
        low_user, low_item = z.layers[0]
        for user, item in z.layers[:-1]:
            low_user = low_user + self.user @ (self.item.t() @ item)
            low_item = low_item + self.item @ (self.user.t() @ user)
        users = self._nce(low_user, z.user, batch.src_index)
        return users + self._nce(low_item, z.item, batch.dst_pos_index)

    def _nce(self, low: Tensor, full: Tensor, index: Tensor) -> Tensor:
        anchor = low.index_select(0, index) / self.tau  # [B, D]
        own = (anchor * full.index_select(0, index)).sum(-1)
        weight = own.new_full(own.shape, 1 / len(own))
        return sum_log_partitions(anchor, full, weight) - own.clamp(-5, 5).mean()


def build(
    graph: HeteroData,
    loss: RankingLoss,
    *,
    rank: int = 5,
    tau: float = 0.2,
    weight: float = 0.2,
    dim: int = 64,
    num_layers: int = 2,
    dropout: float = 0.0,
    lr: float = 1e-3,
    l2: float = 1e-5,
) -> Method:
    """Build LightGCL; the encoder first, so that all ranks start from its tables."""
    encoder = LightGCN(
        *num_nodes(graph),
        dim,
        num_layers,
        alpha=(1.0,) * (num_layers + 1),
        propagate_layers=num_layers,  # the term looks at all layers
        message_drop=dropout,
    )
    terms = {"svd": (weight, SVDContrast(graph, rank, tau))}
    return Method.compose(encoder, loss, terms=terms, lr=lr, l2=l2)
