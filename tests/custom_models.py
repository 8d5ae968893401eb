"""Custom models and losses, one of each kind; ``tests/cli`` copies it to my_module.py.

It imports nothing of the tests, as a user's module would not.
"""

from typing import ClassVar

import torch
from torch import nn
from torch_geometric.nn import HeteroConv, LGConv, SAGEConv

from pyg_advinfonce.encoders import Embeddings, Encoder
from pyg_advinfonce.graph import INTERACTS, REV_INTERACTS
from pyg_advinfonce.losses import Criterion, Hardness, batch_scores
from pyg_advinfonce.methods import Method
from pyg_advinfonce.objective import Phase, adam


class Plain(nn.Module):
    """Plain PyG: an embedding per node, LGConv over users and items as one graph."""

    search_space: ClassVar = {"dim": [4, 8]}

    def __init__(self, graph, dim=8, num_layers=1):
        super().__init__()
        self.num_users = graph["user"].num_nodes
        num_nodes = self.num_users + graph["item"].num_nodes
        self.node = nn.Embedding(num_nodes, dim)
        self.convs = nn.ModuleList(LGConv() for _ in range(num_layers))

    def forward(self, graph):
        user, item = graph.edge_index_dict["user", "interacts", "item"]
        there = torch.stack([user, item + self.num_users])
        edges = torch.cat([there, there.flip(0)], 1)
        x = self.node.weight
        for conv in self.convs:
            x = x + conv(x, edges)
        return x[: self.num_users], x[self.num_users :]


class Sage(nn.Module):
    """GraphSAGE with sizes that are found in the first pass, for samples as well."""

    num_hops = 2

    def __init__(self, graph, dim=8):
        super().__init__()
        self.user = nn.Embedding(graph["user"].num_nodes, dim)
        self.item = nn.Embedding(graph["item"].num_nodes, dim)
        self.drop = nn.Dropout(0.2)
        self.convs = nn.ModuleList(
            HeteroConv({e: SAGEConv((-1, -1), dim) for e in (INTERACTS, REV_INTERACTS)})
            for _ in range(self.num_hops)
        )

    def forward(self, graph):
        tables = {"user": self.user.weight, "item": self.item.weight}
        rows = {name: graph[name].get("n_id") for name in tables}
        x = {n: t if rows[n] is None else t[rows[n]] for n, t in tables.items()}
        for conv in self.convs:
            x = {n: self.drop(v) for n, v in conv(x, graph.edge_index_dict).items()}
        return x["user"], x["item"]


class Layered(Plain):
    """Returns embeddings with the layers, the messages of items too."""

    def forward(self, graph):
        user, item = super().forward(graph)
        layers = self.node.weight.split([len(user), len(item)])
        return Embeddings(user, item, (layers,))

    def item_messages(self, graph):
        return self.forward(graph).item * 2


class Own(Encoder):
    """An encoder of the library's kind."""

    def __init__(self, graph, dim=8):
        super().__init__()
        self.user = nn.Parameter(torch.randn(graph["user"].num_nodes, dim))
        self.item = nn.Parameter(torch.randn(graph["item"].num_nodes, dim))

    def forward(self, graph, *, perturb=None):
        return Embeddings(self.user, self.item, ((self.user, self.item),))


def build(graph, *, dim: int = 8, activation: nn.Module | None = None):
    """Build a plain model.

    Args:
        graph: The graph.
        dim: The width of it all.
        activation: No file can say this one.
    """
    if dim < 1:
        raise ValueError(f"dim must be positive (got {dim})")
    return Plain(graph, dim)


build.search_space = {"dim": {"low": 2, "high": 9}}


class FromGraph(nn.Module):
    """Made of sizes; a class method reads them off the graph."""

    def __init__(self, num_users, num_items, dim=8):
        super().__init__()
        self.user = nn.Embedding(num_users, dim)
        self.item = nn.Embedding(num_items, dim)

    @classmethod
    def from_graph(cls, graph, **options):
        return cls(graph["user"].num_nodes, graph["item"].num_nodes, **options)

    def forward(self, graph):
        return self.user.weight, self.item.weight


def compose(graph, loss, *, lr=1e-3, l2=1e-5, dim=8):
    """Put a method together, as the library's builders do."""
    return Method.compose(FromGraph.from_graph(graph, dim=dim), loss, lr=lr, l2=l2)


class Popular(nn.Module):
    """Scores by popularity: nothing to train, no embeddings."""

    def __init__(self, graph):
        super().__init__()
        item = graph.edge_index_dict["user", "interacts", "item"][1]
        count = torch.bincount(item, minlength=graph["item"].num_nodes)
        self.register_buffer("count", count)

    def scores(self, user):
        return self.count.expand(len(user), -1)


class Hinge(Criterion):
    """A loss with an option and without a temperature."""

    search_space: ClassVar = {"margin": {"low": 0.1, "high": 1.0, "log": True}}

    def __init__(self, margin: float = 0.5):
        super().__init__()
        self.margin = margin

    def forward(self, z_user, z_item, batch):
        pos, neg = batch_scores(z_user, z_item, batch)
        return (self.margin + neg - pos.unsqueeze(-1)).relu().mean()


class Hardened(Criterion):
    """A loss with the hardness of ``[hardness]`` and a phase that trains it."""

    cosine = False

    def __init__(self, hardness: Hardness | None = None, hard_lr: float = 0.01):
        super().__init__()
        self.hardness, self.hard_lr = hardness, hard_lr

    def forward(self, z_user, z_item, batch):
        pos, neg = batch_scores(z_user, z_item, batch, cosine=False)
        neg = neg + self.hardness(z_user, z_item, batch)
        return (neg.logsumexp(-1) - pos).mean()

    def phases(self, main):
        params = tuple(self.hardness.parameters())
        up = adam(self.hard_lr, maximize=True)
        return main, Phase("up", main.objective.only("rec"), params, up)
