"""Log-sum-exp of dot products with all rows of a table, computed in chunks."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

# 4 MB in single precision, which fit a CPU cache, or 64 MB on a GPU.
MAX_SCORES, MAX_SCORES_CUDA = 2**20, 2**24


def log_partition(
    x_src: Tensor, x_dst: Tensor, *, max_scores: int | None = None
) -> Tensor:
    r"""Return the log-sum-exp of each source row's scores with all destinations.

    .. math::
        z_b = \log \sum_{k=1}^{N} e^{\langle x_b, y_k \rangle}

    At most ``max_scores`` of the ``B N`` scores are in memory at a time; the backward
    pass recomputes them.

    Args:
        x_src: ``[B, D]``.
        x_dst: ``[N, D]`` with at least one row.
        max_scores: Maximum number of scores in memory, at least one column (default:
            depends on the device).

    Returns:
        ``[B]``.

    Raises:
        ValueError: If the widths differ or ``x_dst`` is empty.
    """
    if x_src.dim() != 2 or x_dst.dim() != 2 or x_src.size(1) != x_dst.size(1):
        raise ValueError(
            "x_src [B, D] and x_dst [N, D] must agree in D "
            f"(got {tuple(x_src.shape)} and {tuple(x_dst.shape)})"
        )
    if x_dst.size(0) == 0:
        raise ValueError("x_dst must have at least one row (got 0)")
    size = max_scores or (MAX_SCORES_CUDA if x_src.is_cuda else MAX_SCORES)
    found: Tensor = _LogPartition.apply(x_src, x_dst, size)
    return found


class _LogPartition(Function):
    @staticmethod
    def forward(ctx: Any, x_src: Tensor, x_dst: Tensor, max_scores: int) -> Tensor:  # noqa: ANN401
        total = x_src.new_full((x_src.size(0),), -torch.inf)
        for _, rows in _chunks(x_src, x_dst, max_scores):
            total = torch.logaddexp(total, (x_src @ rows.t()).logsumexp(1))
        ctx.save_for_backward(x_src, x_dst, total)
        ctx.max_scores = max_scores
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # noqa: ANN401
        x_src, x_dst, total = ctx.saved_tensors
        grad_src, grad_dst = torch.zeros_like(x_src), torch.empty_like(x_dst)
        weight = grad.unsqueeze(-1)  # [B, 1]
        for part, rows in _chunks(x_src, x_dst, ctx.max_scores):
            share = torch.addmm(total.neg().unsqueeze(-1), x_src, rows.t()).exp_()
            share *= weight  # [B, chunk]
            grad_src.addmm_(share, rows)
            torch.mm(share.t(), x_src, out=grad_dst[part])
        return grad_src, grad_dst, None


def _chunks(
    x_src: Tensor, x_dst: Tensor, max_scores: int
) -> Iterator[tuple[slice, Tensor]]:
    """Yield chunks of the destinations with at most ``max_scores`` scores."""
    size = max(1, max_scores // max(1, x_src.size(0)))
    for start in range(0, x_dst.size(0), size):
        part = slice(start, start + size)
        yield part, x_dst[part]
