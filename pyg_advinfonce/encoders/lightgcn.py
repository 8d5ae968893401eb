"""LightGCN, matrix factorisation as LightGCN without layers, and noise."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders.base import Embeddings, Encoder
from pyg_advinfonce.encoders.propagation import (
    BipartiteConv,
    Layers,
    RelationCache,
    Relations,
    node_rows,
    one_a_layer,
)
from pyg_advinfonce.functional import check_not_negative, check_positive, unit_rows
from pyg_advinfonce.ops import layer_sum


class UniformNoise(nn.Module):
    r"""Push each row a fixed distance within its own orthant, as in `"Are Graph
    Augmentations Necessary? Simple Graph Contrastive Learning for Recommendation"
    <https://arxiv.org/abs/2112.08679>`_.

    .. math::
        x' = x + \epsilon \, \mathrm{sign}(x) \odot r / |r|, \quad r \sim U[0, 1)^D

    Args:
        eps: The length of the push.

    Shapes:
        - **x:** ``[N, D]``; **output:** ``[N, D]``
    """  # noqa: D205

    def __init__(self, eps: float) -> None:
        super().__init__()
        check_not_negative(eps=eps)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        push = unit_rows(torch.rand_like(x)).to(x.dtype)
        return torch.addcmul(x, push, x.detach().sign(), value=self.eps)


class LightGCN(Encoder):
    r"""Linear propagation over the user-item graph, of `"LightGCN: Simplifying and
    Powering Graph Convolution Network for Recommendation"
    <https://arxiv.org/abs/2002.02126>`_.

    .. math::
        Z = \sum_{k=0}^{L} \alpha_k \hat{A}^k E

    The sum is one fused operation; a single layer is made, by PyG's ``LGConv``, when
    something asks for it. With ``propagate_layers``, something always does: then the
    layers are made first, and summed.

    The graph needs the weights of
    :class:`~pyg_advinfonce.transforms.BipartiteNorm`. Without layers
    this is matrix factorisation.

    Args:
        num_users: The number of users.
        num_items: The number of items.
        dim: The width of the embeddings.
        num_layers: ``L``, the number of layers.
        alpha: The layers' weights ``[L + 1]`` (default: all equal).
        first_layer: The first layer that the default weights count.
        propagate_layers: How many layers there are to ask for, at least ``L``
            (default: ``L``, rarely asked for).
        noise: Perturb every layer by
            :class:`~pyg_advinfonce.encoders.UniformNoise` of this length.
        message_drop: Drop each message of each layer with this probability.

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
        *,
        first_layer: int = 0,
        propagate_layers: int | None = None,
        noise: float = 0.0,
        message_drop: float = 0.0,
    ) -> None:
        super().__init__()
        check_positive(dim=dim)
        check_not_negative(num_layers=num_layers)
        if not 0 <= message_drop < 1:
            raise ValueError(f"message_drop must be in [0, 1) (got {message_drop})")
        self.alpha = _alpha(num_layers, first_layer, alpha)
        self.user = nn.Parameter(torch.empty(num_users, dim, device="cpu"))
        self.item = nn.Parameter(torch.empty(num_items, dim, device="cpu"))
        self.is_fused = propagate_layers is None
        depth = max(num_layers, propagate_layers or 0)
        self.convs = nn.ModuleList(BipartiteConv() for _ in range(depth))
        self.noise = UniformNoise(noise) if noise else None
        self.message_drop = message_drop
        self._relations = RelationCache()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw both tables anew, each by Xavier's normal rule."""
        nn.init.xavier_normal_(self.user)
        nn.init.xavier_normal_(self.item)

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
        """Propagate other tables than the encoder's own, ``[U, D]`` and ``[I, D]``."""
        tables = user, item
        graphs = one_a_layer(graph, len(self.convs))
        relations = [self._relations(g, tables) for g in graphs]
        perturb = self.training if perturb is None else perturb
        perturb = perturb and (self.noise is not None or self.message_drop > 0)
        if perturb and self.message_drop:
            relations = [self._drop(pair) for pair in relations]
        noise = self.noise if perturb else None
        layers = Layers(tables, self.convs, relations, noise)
        one_graph = isinstance(graph, HeteroData) and len(self.alpha) > 1
        if self.is_fused and one_graph and not perturb:
            summed = layer_sum(*tables, *relations[0], self.alpha)
            return Embeddings(*summed, layers)
        counted = zip(*layers[: len(self.alpha)], strict=True)
        z_user, z_item = (_sum(self.alpha, column) for column in counted)
        return Embeddings(z_user, z_item, layers)

    def item_messages(self, graph: HeteroData) -> Tensor | None:
        r"""Return :math:`\sum_{k=1}^{L} \alpha_k x_i^{(k-1)}`, ``[I, D]``."""
        if not any(self.alpha[1:]):
            return None
        layers = self(graph, perturb=False).layers[: len(self.alpha) - 1]
        return _sum(self.alpha[1:], [item for _, item in layers])

    def _drop(self, pair: Relations) -> Relations:
        return pair[0].drop(self.message_drop), pair[1].drop(self.message_drop)


def _sum(alpha: Sequence[float], tables: Sequence[Tensor]) -> Tensor:
    if len(tables) == 1 and alpha == (1.0,):
        return tables[0]
    weighted = [(a, x) for a, x in zip(alpha, tables, strict=True) if a]
    weight, table = weighted[0]
    total = weight * table
    for weight, table in weighted[1:]:
        total = torch.add(total, table, alpha=weight)
    return total


def _alpha(
    num_layers: int, first_layer: int, alpha: Sequence[float] | None
) -> tuple[float, ...]:
    """Return the layers' weights, which by default are equal and sum to one."""
    if not 0 <= first_layer <= num_layers:
        raise ValueError(
            f"first_layer must be from 0 to num_layers, {num_layers} "
            f"(got {first_layer})"
        )
    if alpha is None:
        number = num_layers + 1 - first_layer
        return (0.0,) * first_layer + (1 / number,) * number
    if len(alpha) != num_layers + 1:
        raise ValueError(
            f"alpha needs {num_layers + 1} weights, one a layer (got {len(alpha)})"
        )
    if not any(alpha):
        raise ValueError("alpha needs a weight that is not zero")
    return tuple(alpha)
