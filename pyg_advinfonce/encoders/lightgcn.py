"""LightGCN (matrix factorisation if it has no layers) and noise for its layers."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders.base import Embeddings, Encoder
from pyg_advinfonce.encoders.propagation import (
    BipartiteConv,
    Layers,
    RelationCache,
    Relations,
    graph_per_layer,
    node_rows,
)
from pyg_advinfonce.functional import (
    EPS,
    check_choice,
    check_not_negative,
    check_num_layers,
    check_positive,
    reset_tables,
)
from pyg_advinfonce.graph import USER
from pyg_advinfonce.ops import (
    empty_table,
    layer_sum,
    layer_sum_rows,
    unit_noise_like,
)


class UniformNoise(nn.Module):
    r"""Add noise of fixed length to each row within its orthant, as in `"Are Graph
    Augmentations Necessary? Simple Graph Contrastive Learning for Recommendation"
    <https://arxiv.org/abs/2112.08679>`_.

    .. math::
        x' = x + \epsilon \, \mathrm{sign}(x) \odot r / |r|, \quad r \sim U[0, 1)^D

    Args:
        eps: Length of the noise.
        dim: ``D``, where processes divide the columns (default: that of ``x``).

    Shapes:
        - **x:** ``[N, D]``; **output:** ``[N, D]``
    """  # noqa: D205

    def __init__(self, eps: float, dim: int | None = None) -> None:
        super().__init__()
        check_not_negative(eps=eps)
        self.eps, self.dim = eps, dim

    def forward(self, x: Tensor) -> Tensor:
        push = unit_noise_like(x, self.dim or x.size(1), EPS).to(x.dtype)
        return torch.addcmul(x, push, x.detach().sign(), value=self.eps)


class LightGCN(Encoder):
    r"""Linear propagation over the user-item graph, from `"LightGCN: Simplifying and
    Powering Graph Convolution Network for Recommendation"
    <https://arxiv.org/abs/2002.02126>`_.

    .. math::
        Z = \sum_{k=0}^{L} \alpha_k \hat{A}^k E

    The sum is one fused operation; single layers are computed on demand by PyG's
    ``LGConv``. With ``propagate_layers``, all layers are computed first and summed.

    The graph needs the edge weights of
    :class:`~pyg_advinfonce.transforms.BipartiteNorm`. Without layers the encoder is
    matrix factorisation.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dim: Embedding dimension.
        num_layers: ``L``, the number of layers.
        alpha: Weights of the layers ``[L + 1]`` (default: all equal).
        first_layer: First layer with a nonzero default weight.
        propagate_layers: Number of available layers, at least ``L`` (default: ``L``,
            computed on demand).
        noise: Length of :class:`~pyg_advinfonce.encoders.UniformNoise` added to every
            layer.
        message_drop: Probability of dropping a message, per layer.
        init: Xavier's ``normal`` or ``uniform`` distribution of the first tables.

    Shapes:
        - **output:** ``user`` ``[U, D]``, ``item`` ``[I, D]``, ``L + 1`` layers
    """  # noqa: D205

    is_separable = True

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dim: int = 64,
        num_layers: int = 2,
        alpha: Sequence[float] | None = None,
        *,
        first_layer: int = 0,
        propagate_layers: int | None = None,
        noise: float = 0.0,
        message_drop: float = 0.0,
        init: Literal["normal", "uniform"] = "normal",
    ) -> None:
        super().__init__()
        check_choice("normal", "uniform", init=init)
        check_positive(dim=dim)
        check_num_layers(num_layers=num_layers)
        check_num_layers(propagate_layers=propagate_layers or 0)
        if not 0 <= message_drop < 1:
            raise ValueError(f"message_drop must be in [0, 1) (got {message_drop})")
        self.alpha = _layer_weights(num_layers, first_layer, alpha)
        self.dim = dim
        self.user, self.item = empty_table(num_users, dim), empty_table(num_items, dim)
        self.is_fused = propagate_layers is None
        depth = max(num_layers, propagate_layers or 0)
        self.convs = nn.ModuleList(BipartiteConv() for _ in range(depth))
        self.noise = UniformNoise(noise, dim) if noise else None
        self.message_drop, self.init = message_drop, init
        self._relations = RelationCache()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Reset both tables by Xavier initialisation."""
        reset_tables(self.dim, self.user, self.item, init=self.init)

    @property
    def num_hops(self) -> int:
        return len(self.convs)

    def forward(
        self, graph: HeteroData | Sequence[HeteroData], *, perturb: bool | None = None
    ) -> Embeddings:
        rows = node_rows(graph, self.user, self.item)
        return self.propagate(*rows, graph, perturb=perturb)

    def propagate(
        self,
        user: Tensor,
        item: Tensor,
        graph: HeteroData | Sequence[HeteroData],
        *,
        perturb: bool | None = None,
    ) -> Embeddings:
        """Propagate the given tables ``[U, D]`` and ``[I, D]``."""
        tables = user, item
        graphs = graph_per_layer(graph, len(self.convs))
        relations = [self._relations(g, tables) for g in graphs]
        perturb = self._perturbs(perturb)
        if perturb and self.message_drop:
            relations = [self._drop(pair) for pair in relations]
        noise = self.noise if perturb else None
        layers = Layers(tables, self.convs, relations, noise)
        one_graph = isinstance(graph, HeteroData) and len(self.alpha) > 1
        if self.is_fused and one_graph and not perturb:
            summed = layer_sum(*tables, *relations[0], self.alpha)
            return Embeddings(*summed, layers)
        counted = zip(*layers[: len(self.alpha)], strict=True)
        z_user, z_item = (_weighted_sum(self.alpha, column) for column in counted)
        return Embeddings(z_user, z_item, layers)

    def encode_rows(
        self, graph: HeteroData, user: Tensor | None, item: Tensor | None
    ) -> Embeddings | None:
        is_sum = self.is_fused and len(self.alpha) > 1 and not self._perturbs(None)
        if not is_sum or "n_id" in graph[USER]:
            return None
        tables = self.user, self.item
        relations = self._relations(graph, tables)
        z, rows = layer_sum_rows(*tables, *relations, self.alpha, (user, item))
        return Embeddings(*z, (rows,))

    def _perturbs(self, perturb: bool | None) -> bool:
        perturb = self.training if perturb is None else perturb
        return perturb and (self.noise is not None or self.message_drop > 0)

    def item_messages(self, graph: HeteroData) -> Tensor | None:
        r"""Return :math:`\sum_{k=1}^{L} \alpha_k x_i^{(k-1)}`, ``[I, D]``."""
        if not any(self.alpha[1:]):
            return None
        layers = self(graph, perturb=False).layers[: len(self.alpha) - 1]
        return _weighted_sum(self.alpha[1:], [item for _, item in layers])

    def _drop(self, pair: Relations) -> Relations:
        return pair[0].drop(self.message_drop), pair[1].drop(self.message_drop)


def _weighted_sum(alpha: Sequence[float], tables: Sequence[Tensor]) -> Tensor:
    if len(tables) == 1 and alpha == (1.0,):
        return tables[0]
    weighted = [(a, x) for a, x in zip(alpha, tables, strict=True) if a]
    weight, table = weighted[0]
    total = weight * table
    for weight, table in weighted[1:]:
        total = torch.add(total, table, alpha=weight)
    return total


def _layer_weights(
    num_layers: int, first_layer: int, alpha: Sequence[float] | None
) -> tuple[float, ...]:
    """Return the weights of the layers, by default equal with sum one."""
    if not 0 <= first_layer <= num_layers:
        raise ValueError(
            f"first_layer must be from 0 to num_layers={num_layers} (got {first_layer})"
        )
    if alpha is None:
        number = num_layers + 1 - first_layer
        return (0.0,) * first_layer + (1 / number,) * number
    if len(alpha) != num_layers + 1:
        raise ValueError(
            f"alpha needs {num_layers + 1} weights, one per layer (got {len(alpha)})"
        )
    if not any(alpha):
        raise ValueError(f"alpha must have a nonzero weight (got {list(alpha)})")
    return tuple(alpha)
