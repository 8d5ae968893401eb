"""This library's operations, as one writes them without it."""

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor
from torch_geometric.nn import LGConv
from torch_geometric.utils import scatter, softmax

from pyg_advinfonce import ops
from pyg_advinfonce.functional import MASKED
from pyg_advinfonce.graph import TensorCache
from pyg_advinfonce.ops import Adjacency

_CONV = LGConv(normalize=False)
_EDGES: TensorCache[Tensor] = TensorCache()


def edges_of(adjacency: Adjacency) -> Tensor:
    """Return the edge list ``[2, E]`` of a relation, made once."""
    matrix = adjacency.matrix

    def make() -> Tensor:
        row = torch.repeat_interleave(matrix.rowptr.diff())
        return torch.stack([matrix.col.long(), row])

    return _EDGES([matrix.col, matrix.rowptr], make)


def propagate(adjacency: Adjacency, x: Tensor) -> Tensor:
    """Send messages along an edge list, one gathered row an edge."""
    edge_index, matrix = edges_of(adjacency), adjacency.matrix
    size = matrix.num_cols, matrix.num_rows
    return _CONV.propagate(edge_index, x=(x, None), edge_weight=matrix.value, size=size)


def edge_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    adjacency: Adjacency,
    *,
    num_heads: int = 1,
    clamp: float = 10.0,
) -> Tensor:
    """Gather queries, keys and values of every edge."""
    src, dst = edges_of(adjacency)
    parts = (query[dst], key[src], value[src])
    q, k, v = (x.unflatten(1, (num_heads, -1)) for x in parts)  # [E, heads, D / heads]
    share = softmax((q * k).sum(-1).clamp(-clamp, clamp), dst, num_nodes=query.size(0))
    messages = (v * share.unsqueeze(-1)).flatten(1)
    return scatter(messages, dst, dim_size=query.size(0))


def layer_sum(
    x_user: Tensor,
    x_item: Tensor,
    to_user: Adjacency,
    to_item: Adjacency,
    alpha: Sequence[float],
) -> tuple[Tensor, Tensor]:
    """Keep every layer and sum them up."""
    user, item = x_user, x_item
    sums = [alpha[0] * user, alpha[0] * item]
    for weight in alpha[1:]:
        user, item = propagate(to_user, item), propagate(to_item, user)
        sums = [sums[0] + weight * user, sums[1] + weight * item]
    return sums[0], sums[1]


def layer_sum_rows(
    x_user: Tensor,
    x_item: Tensor,
    to_user: Adjacency,
    to_item: Adjacency,
    alpha: Sequence[float],
    rows: tuple[Tensor | None, Tensor | None],
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Compute all rows and index them."""
    tables = layer_sum(x_user, x_item, to_user, to_item, alpha), (x_user, x_item)
    sums, egos = (
        tuple(x if row is None else x[row] for x, row in zip(pair, rows, strict=True))
        for pair in tables
    )
    return sums, egos


def product(x: Tensor, y: Tensor) -> Tensor:
    """Multiply as torch does."""
    return x @ y.t()


def sum_log_partitions(x_src: Tensor, x_dst: Tensor, weight: Tensor) -> Tensor:
    """Hold all scores."""
    return weight.dot((x_src @ x_dst.t()).logsumexp(1))


def log_partitions(x_src: Tensor, x_dst: Tensor, drop: Tensor) -> Tensor:
    """Copy all scores to leave some out."""
    return (x_src @ x_dst.t()).masked_fill(drop, MASKED).logsumexp(1)


def log_pair_potential(x: Tensor, t: float) -> Tensor:
    """Hold the distances of all pairs, each twice."""
    square = t * x.square().sum(-1)
    logits = torch.addmm(-square, x, x.t(), alpha=2 * t)
    rows = logits.fill_diagonal_(MASKED).logsumexp(-1) - square
    return rows.logsumexp(0) - math.log(2)


PLAIN = {
    ops.draw_columns: partial(ops.draw_columns, backend="searchsorted"),
    ops.edge_attention: edge_attention,
    ops.product: product,
    ops.propagate: propagate,
    ops.layer_sum: layer_sum,
    ops.log_pair_potential: log_pair_potential,
    ops.log_partitions: log_partitions,
    ops.sum_log_partitions: sum_log_partitions,
    ops.layer_sum_rows: layer_sum_rows,
    ops.edge_scores: partial(ops.edge_scores, backend="gather"),
}


@contextmanager
def gathered() -> Iterator[None]:
    """Replace the operations wherever the library has imported them."""
    modules = [
        m for name, m in sys.modules.items() if name.startswith("pyg_advinfonce")
    ]
    found = [
        (module, name, value)
        for module in modules
        for name, value in vars(module).items()
        if callable(value) and value.__hash__ and value in PLAIN
    ]
    try:
        for module, name, value in found:
            setattr(module, name, PLAIN[value])
        yield
    finally:
        for module, name, value in found:
            setattr(module, name, value)
