"""Attention over the entries of a sparse matrix, forward and backward."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from pyg_advinfonce.ops.adjacency import CSR, Adjacency
from pyg_advinfonce.ops.propagate import sparse_product

EPS = 1e-8


def edge_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    adjacency: Adjacency,
    *,
    num_heads: int = 1,
    clamp: float = 10.0,
) -> Tensor:
    r"""Average neighbours' values with softmax weights of query-key scores.

    .. math::
        y_i = \frac{\sum_{j \in \mathcal{N}(i)} e^{s_{ij}} v_j}
        {\sum_{j \in \mathcal{N}(i)} e^{s_{ij}} + 10^{-8}}, \quad
        s_{ij} = \max(-c, \min(c, \langle q_i, k_j \rangle))

    Each head uses ``D / num_heads`` columns. No tensor of size ``[E, D]`` is allocated:
    the backward pass stores one score per edge and head, and the sums are sparse
    products as in :func:`~pyg_advinfonce.ops.propagate`.

    Args:
        query: ``[N, D]``.
        key: ``[M, D]``.
        value: ``[M, D]``.
        adjacency: ``[N, M]`` without duplicate entries; its weights are ignored.
        num_heads: Number of heads, a divisor of ``D``.
        clamp: ``c``, the largest absolute score, which keeps exponentials finite.

    Returns:
        ``[N, D]``; zero for rows without neighbours.

    Raises:
        ValueError: If ``num_heads`` does not divide ``D``.
    """
    if num_heads < 1 or query.size(1) % num_heads:
        raise ValueError(
            f"num_heads must divide the width {query.size(1)} (got {num_heads})"
        )
    found: Tensor = _EdgeAttention.apply(query, key, value, adjacency, num_heads, clamp)
    return found


class _EdgeAttention(Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        query: Tensor,
        key: Tensor,
        value: Tensor,
        adjacency: Adjacency,
        num_heads: int,
        clamp: float,
    ) -> Tensor:
        scores, masses, outputs = [], [], []
        for q, k, v in _heads(num_heads, query, key, value):
            score = _products(adjacency.matrix, q, k).clamp_(-clamp, clamp)  # [E]
            total = _sum(adjacency.matrix, score.exp(), _append(v, 1.0))
            mass = total[:, -1:] + EPS  # [N, 1]
            scores.append(score)
            masses.append(mass)
            outputs.append(total[:, :-1] / mass)
        out = torch.cat(outputs, 1)  # [N, D]
        ctx.save_for_backward(query, key, value, out, *scores, *masses)
        ctx.adjacency, ctx.num_heads, ctx.clamp = adjacency, num_heads, clamp
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        query, key, value, out, *kept = ctx.saved_tensors
        scores, masses = kept[: ctx.num_heads], kept[ctx.num_heads :]
        heads = _heads(ctx.num_heads, query, key, value, out, grad)
        parts = [
            _head_backward(ctx.adjacency, ctx.clamp, *state)
            for state in zip(heads, scores, masses, strict=True)
        ]
        grads = (torch.cat(columns, 1) for columns in zip(*parts, strict=True))
        return (*grads, None, None, None)


def _head_backward(
    adjacency: Adjacency,
    clamp: float,
    rows: tuple[Tensor, ...],
    score: Tensor,
    mass: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of one head's query, key and value.

    With ``g`` the output's gradient divided by the mass, the gradient of a score is
    ``e^s <g_i, v_j - y_i>``.
    """
    query, key, value, out, grad = rows
    matrix, transpose, order = adjacency.matrix, adjacency.transpose, adjacency.flip
    grad = grad / mass
    weight = score.exp()  # [E]
    against = (grad * out).sum(1, keepdim=True).neg()
    slope = _products(matrix, torch.cat([grad, against], 1), _append(value, 1.0))
    slope.mul_(weight).masked_fill_(score.abs() >= clamp, 0.0)  # [E]
    back = slope.index_select(0, order)
    return (
        _sum(matrix, slope, key),
        _sum(transpose, back, query),
        _sum(transpose, weight.index_select(0, order), grad),
    )


def _heads(num_heads: int, *tables: Tensor) -> list[tuple[Tensor, ...]]:
    """Cut tables ``[N, D]`` into each head's columns ``[N, D / num_heads]``."""
    cut = ([x.contiguous() for x in t.chunk(num_heads, 1)] for t in tables)
    return list(zip(*cut, strict=True))


def _append(x: Tensor, number: float) -> Tensor:
    return torch.cat([x, x.new_full((x.size(0), 1), number)], 1)


def _products(matrix: CSR, x: Tensor, y: Tensor) -> Tensor:
    """Return the inner products ``[E]`` of the two rows that each entry connects."""
    pattern = replace(matrix, value=x.new_zeros(matrix.col.numel())).to_torch()
    return torch.sparse.sampled_addmm(pattern, x, y.t(), beta=0.0).values()


def _sum(matrix: CSR, weight: Tensor, x: Tensor) -> Tensor:
    return sparse_product(replace(matrix, value=weight), x)
