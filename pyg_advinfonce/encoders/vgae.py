"""Variational graph auto-encoder of users and items."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders.base import Embeddings, Encoder
from pyg_advinfonce.encoders.propagation import (
    BipartiteConv,
    RelationCache,
    Tables,
    graph_per_layer,
    node_rows,
)
from pyg_advinfonce.functional import check_choice, check_positive

MAX_LOGSTD = 10.0


class VGAE(Encoder):
    r"""User-item form of `"Variational Graph Auto-Encoders"
    <https://arxiv.org/abs/1611.07308>`_, a reconstruction: the AdvInfoNCE paper's form
    is not published (docs/methods.md 1.4).

    .. math::
        H = \phi(\hat{A} X), \quad \mu = \hat{A} H W_\mu, \quad
        \log \sigma = \min(\hat{A} H W_\sigma + b, 10), \quad
        Z = \mu + \sigma \odot \epsilon

    Nodes have no features: :math:`X` is the embedding table. ``Z`` is sampled in
    training; in evaluation, or with ``perturb=False``, it is the mean. ``aux`` holds
    ``mu_user``, ``mu_item``, ``logstd_user`` and ``logstd_item``.

    The graph needs the edge weights of
    :class:`~pyg_advinfonce.transforms.BipartiteNorm`.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dim: Embedding dimension.
        activation: ``phi``: ``relu``, or ``none`` for a linear encoder.
        residual: Whether to add ``X`` to ``H``.
        logstd_offset: ``b``; a negative value keeps the initial noise below the scale
            of the mean, which Xavier initialisation sets.

    Shapes:
        - **output:** ``user`` ``[U, D]``, ``item`` ``[I, D]``, one layer
    """  # noqa: D205

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dim: int = 64,
        *,
        activation: Literal["relu", "none"] = "relu",
        residual: bool = False,
        logstd_offset: float = -2.0,
    ) -> None:
        super().__init__()
        check_positive(dim=dim)
        check_choice("relu", "none", activation=activation)
        self.residual, self.logstd_offset = residual, logstd_offset
        self.activation = nn.ReLU() if activation == "relu" else nn.Identity()
        self.user = nn.Parameter(torch.empty(num_users, dim, device="cpu"))
        self.item = nn.Parameter(torch.empty(num_items, dim, device="cpu"))
        self.mu = nn.Linear(dim, dim, bias=False, device="cpu")
        self.logstd = nn.Linear(dim, dim, bias=False, device="cpu")
        self.conv = BipartiteConv()
        self._relations = RelationCache()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Reset tables and weights by Xavier normal initialisation."""
        for weight in (self.user, self.item, self.mu.weight, self.logstd.weight):
            nn.init.xavier_normal_(weight)

    @property
    def num_hops(self) -> int:
        return 2

    def forward(
        self, graph: HeteroData | Sequence[HeteroData], *, perturb: bool | None = None
    ) -> Embeddings:
        first, second = graph_per_layer(graph, 2)
        tables = node_rows(graph, self.user, self.item)
        user, item = self._messages(self._hidden(tables, first), second)
        aux = {
            "mu_user": self.mu(user),
            "mu_item": self.mu(item),
            "logstd_user": self._logstd(user),
            "logstd_item": self._logstd(item),
        }
        z_user, z_item = aux["mu_user"], aux["mu_item"]
        if self.training if perturb is None else perturb:
            z_user = _sample(z_user, aux["logstd_user"])
            z_item = _sample(z_item, aux["logstd_item"])
        return Embeddings(z_user, z_item, (tables,), aux)

    def item_messages(self, graph: HeteroData) -> Tensor:
        r"""Return :math:`W_\mu h_i`, ``[I, D]``."""
        tables = node_rows(graph, self.user, self.item)
        messages: Tensor = self.mu(self._hidden(tables, graph)[1])
        return messages

    def _hidden(self, tables: Tables, graph: HeteroData) -> Tables:
        user, item = (self.activation(x) for x in self._messages(tables, graph))
        return (user + tables[0], item + tables[1]) if self.residual else (user, item)

    def _messages(self, tables: Tables, graph: HeteroData) -> Tables:
        to_user, to_item = self._relations(graph, tables)
        user, item = tables
        return self.conv(item, to_user), self.conv(user, to_item)

    def _logstd(self, x: Tensor) -> Tensor:
        logstd: Tensor = self.logstd(x) + self.logstd_offset
        return logstd.clamp(max=MAX_LOGSTD)


def _sample(mu: Tensor, logstd: Tensor) -> Tensor:
    return torch.addcmul(mu, logstd.exp(), torch.randn_like(mu))
