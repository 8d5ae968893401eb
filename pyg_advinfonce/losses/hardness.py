r"""Hardness of sampled negatives.

A hardness turns logits :math:`G` of a row's ``K`` negatives into
:math:`\delta_j = \log(K p_j)` with :math:`p = \mathrm{softmax}(G)`, so that the mean of
:math:`e^{\delta}` over a row is always 1.
"""

import math
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.errors import counted
from pyg_advinfonce.functional import (
    EPS,
    MASKED,
    at_least_float32,
    check_choice,
    check_positive,
    own_shapes,
    reset_tables,
)
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.losses.base import scores_by_row
from pyg_advinfonce.ops import apply_linear, divide_input, empty_table, total
from pyg_advinfonce.registry import resolve


class Hardness(nn.Module):
    r"""Base class of hardness modules. A subclass implements :meth:`logits`.

    No hardness of the library has state besides its parameters, whose gradients
    ``DistributedDataParallel`` averages over the ranks; random hardness is drawn per
    rank.

    Shapes:
        - **z_user:** ``[U, D]``, **z_item:** ``[I, D]`` embeddings
        - **output:** ``[B, K]`` hardness, zero where the batch masks a negative
    """

    extra_repr = own_shapes

    @classmethod
    def from_graph(cls, graph: HeteroData, **options: Any) -> Self:  # noqa: ANN401
        """Build from a graph, e.g. from its numbers of users and items."""
        return cls(**options)

    def logits(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        """Return unnormalised log hardness ``[B, K]``."""
        raise NotImplementedError(f"{type(self).__name__} has no logits")

    def forward(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        logits = self.logits(z_user, z_item, batch)
        return _log_mean_one(at_least_float32(logits), batch)

    def penalty(self, batch: EdgeBatch) -> Tensor:
        """Return the L2 penalty of a batch's rows, if the hardness has embeddings."""
        raise NotImplementedError(f"{type(self).__name__} has no penalty")


def _log_mean_one(logits: Tensor, batch: EdgeBatch) -> Tensor:
    """Shift each row ``[B, K]`` so that exp has mean 1 over the kept entries.

    Entries are weighted by the importance of their negatives.
    """
    mask, log_q = batch.neg_mask, batch.neg_log_q
    if mask is None and log_q is None:
        return logits.log_softmax(-1) + math.log(logits.size(-1))
    mask = torch.ones_like(logits, dtype=torch.bool) if mask is None else mask
    drawn = (logits if log_q is None else logits - log_q).masked_fill(~mask, MASKED)
    kept = mask.sum(-1, keepdim=True).clamp(min=1).to(logits.dtype)  # [B, 1]
    delta = logits - drawn.logsumexp(-1, keepdim=True) + kept.log()
    return delta.masked_fill(~mask, 0.0)


class UniformHardness(Hardness):
    """Equal hardness of all negatives: delta is zero."""

    def logits(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        return z_user.new_zeros(batch.dst_neg_index.shape)


class EmbeddingHardness(Hardness):
    r"""Hardness from separate embeddings of users and items.

    .. math::
        G_{uj} = \langle \psi_u, \phi_j \rangle

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dim: Dimension of the adversary's embeddings.
    """

    def __init__(self, num_users: int, num_items: int, dim: int = 64) -> None:
        super().__init__()
        check_positive(dim=dim)
        self.dim = dim
        self.user, self.item = empty_table(num_users, dim), empty_table(num_items, dim)
        self.reset_parameters()

    @classmethod
    def from_graph(cls, graph: HeteroData, **options: Any) -> Self:  # noqa: ANN401
        return cls(*num_nodes(graph), **options)

    def reset_parameters(self) -> None:
        """Draw both tables from Xavier's normal distribution."""
        reset_tables(self.dim, self.user, self.item)

    def logits(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        try:
            psi = self.user.index_select(0, batch.user_id)  # [B, D]
            return total(scores_by_row(psi, self.item, batch, batch.neg_id))
        except IndexError as error:
            size = (
                f"{counted(len(self.user), 'user')} and "
                f"{counted(len(self.item), 'item')}"
            )
            reason = f"the batch has ids outside the hardness of {size}"
            raise IndexError(f"{reason}: {error}") from error

    def penalty(self, batch: EdgeBatch) -> Tensor:
        r"""Return half the squared norms of a batch's rows, per positive edge.

        .. math::
            \frac{1}{2 B} \sum_b \Bigl(|\psi_u|^2 + \sum_j |\phi_j|^2\Bigr)
        """
        users = self.user.index_select(0, batch.user_id).square().sum()
        norms = self.item.square().sum(-1)  # [I]
        negatives = batch.sum_of_negatives(norms, batch.neg_id)
        return total(users + negatives) / (2 * batch.src_index.numel())


class MLPHardness(Hardness):
    r"""Hardness from small networks over the recommender's detached embeddings.

    .. math::
        G_{uj} = \langle f(x_u), g(x_j) \rangle

    The paper describes a linear layer on final embeddings. The authors' code, which is
    the default here, applies a ReLU to layer-0 rows (docs/methods.md 2.6b): the batch's
    ``ego``, or else ``z_user`` and ``z_item``. A batch's ``neg_rows`` belong to the
    encoder's output: with ``final`` they replace the negatives' rows, with ``ego`` they
    are an error.

    Args:
        dim: Embedding dimension.
        hidden: Output dimension of both networks.
        input: ``ego`` uses layer-0 rows, ``final`` the encoder's output.
        activation: ``relu`` or ``none``.
    """

    def __init__(
        self,
        dim: int = 64,
        hidden: int = 4,
        input: Literal["ego", "final"] = "ego",
        activation: Literal["relu", "none"] = "relu",
    ) -> None:
        super().__init__()
        check_positive(dim=dim, hidden=hidden)
        check_choice("ego", "final", input=input)
        check_choice("relu", "none", activation=activation)
        self.input = input
        self.activation = nn.ReLU() if activation == "relu" else nn.Identity()
        self.user = divide_input(nn.Linear(dim, hidden, device="cpu"))
        self.item = divide_input(nn.Linear(dim, hidden, device="cpu"))

    def logits(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        if self.input == "ego" and batch.ego is not None:
            z_user, z_item = batch.ego
        rows = z_user.detach().index_select(0, batch.src_index)  # [B, D]
        rows = rows.to(self.user.weight.dtype)
        user = self.activation(apply_linear(self.user, rows))  # [B, hidden]
        items = z_item if batch.neg_rows is None else self._final(batch.neg_rows)
        items = items.detach().to(self.item.weight.dtype)
        item = self.activation(apply_linear(self.item, items))
        if batch.neg_rows is not None:
            return torch.einsum("bd,bkd->bk", user, item)
        return scores_by_row(user, item, batch, batch.dst_neg_index)

    def _final(self, rows: Tensor) -> Tensor:
        if self.input == "ego":
            raise ValueError(
                "MLPHardness with input='ego' needs layer-0 rows, which neg_rows does "
                "not have: set input='final' (hardness.input)"
            )
        return rows


class RandomHardness(Hardness):
    r"""Hardness drawn in every call: :math:`\delta = \log(2 r)`, r uniform on [0, 1).

    The mean of :math:`e^{\delta}` is 1 in expectation only (docs/methods.md 2.7).

    Args:
        normalized: Divide each row by its mean instead of by 1/2.
    """

    def __init__(self, normalized: bool = False) -> None:
        super().__init__()
        self.normalized = normalized

    def logits(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        shape = batch.dst_neg_index.shape
        draw = torch.rand(shape, device=z_user.device, dtype=torch.float32)
        return draw.clamp(min=EPS).log()

    def forward(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        if self.normalized:
            return super().forward(z_user, z_item, batch)
        delta = self.logits(z_user, z_item, batch) + math.log(2.0)
        if batch.neg_mask is None:
            return delta
        return delta.masked_fill(~batch.neg_mask, 0.0)


KINDS = (UniformHardness, EmbeddingHardness, MLPHardness, RandomHardness)
"""The library's own classes."""


def find_hardness(kind: str) -> type[Hardness]:
    """Return the class of a kind of hardness.

    Raises:
        UnknownNameError: If the kind is unknown.
    """
    found: type[Hardness] = resolve("hardness.kind", kind)
    return found


def build_hardness(
    graph: HeteroData,
    kind: str = "embedding",
    **options: Any,  # noqa: ANN401
) -> Hardness:
    """Build the hardness of a given kind.

    Args:
        graph: The user-item graph, for the numbers of users and items.
        kind: One of ``uniform``, ``embedding``, ``mlp``, ``random``.
        **options: Arguments of the hardness, except the numbers of nodes.

    Raises:
        UnknownNameError: If the kind is unknown.
    """
    return find_hardness(kind).from_graph(graph, **options)
