"""Log-sum-exps of dot products with the rows of a table."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from pyg_advinfonce.ops.columns import total
from pyg_advinfonce.ops.product import product
from pyg_advinfonce.ranks import dividing

# 4 MB in single precision, or 64 MB on a GPU.
MAX_SCORES, MAX_SCORES_CUDA = 2**20, 2**24
LOWEST = -1e30  # a score without effect; finite, to keep gradients finite


def sum_log_partitions(
    x_src: Tensor,
    x_dst: Tensor,
    weight: Tensor,
    *,
    max_scores: int | None = None,
) -> Tensor:
    r"""Return the weighted sum of the rows' log-sum-exps of scores.

    .. math::
        \sum_{b=1}^{B} w_b \log \sum_{k=1}^{N} e^{\langle x_b, y_k \rangle}

    The ``B N`` scores are computed in chunks of source rows, each chunk once: the
    gradient is computed with the value.

    Args:
        x_src: ``[B, D]``.
        x_dst: ``[N, D]`` with at least one row.
        weight: ``[B]`` weights, without gradient.
        max_scores: Maximum number of scores in memory, but at least ``D`` rows, which
            take as much as ``x_dst`` (default: depends on the device).

    Returns:
        A scalar.

    Raises:
        ValueError: If shapes do not match or ``x_dst`` is empty.
    """
    if x_src.dim() != 2 or x_dst.dim() != 2 or x_src.size(1) != x_dst.size(1):
        raise ValueError(
            "x_src [B, D] and x_dst [N, D] must agree in D "
            f"(got {tuple(x_src.shape)} and {tuple(x_dst.shape)})"
        )
    if x_dst.size(0) == 0:
        raise ValueError("x_dst must have at least one row (got 0)")
    if weight.shape != x_src.shape[:1]:
        raise ValueError(f"weight must be [{x_src.size(0)}] (got {list(weight.shape)})")
    size = max_scores or (MAX_SCORES_CUDA if x_src.is_cuda else MAX_SCORES)
    # Not by the columns of a process: all must sum the same chunks.
    least = x_src.size(1) if dividing() is None else 1
    num_rows = max(least, size // x_dst.size(0))
    found: Tensor = _SumLogPartitions.apply(x_src, x_dst, weight.detach(), num_rows)
    return found


class _SumLogPartitions(Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        x_src: Tensor,
        x_dst: Tensor,
        weight: Tensor,
        num_rows: int,
    ) -> Tensor:
        needs_src, needs_dst, *_ = ctx.needs_input_grad
        found, table = x_src.new_zeros(()), x_dst.t()
        grad_src = torch.empty_like(x_src) if needs_src else None
        grad_dst = torch.zeros_like(table) if needs_dst else None  # [D, N]
        for start in range(0, x_src.size(0), num_rows):
            part = slice(start, start + num_rows)
            scores = total(product(x_src[part], x_dst))  # [chunk, N]
            top, share = scores.amax(1), scores.softmax(1)
            found += weight[part].dot(top - share.amax(1).log())
            share *= weight[part].unsqueeze(-1)
            if grad_src is not None:
                grad_src[part] = product(share, table)
            if grad_dst is not None:
                grad_dst += product(x_src[part].t(), share.t())
        ctx.save_for_backward(grad_src, None if grad_dst is None else grad_dst.t())
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        parts = (None if x is None else grad * x for x in ctx.saved_tensors)
        return (*parts, None, None)


def log_partitions(x_src: Tensor, x_dst: Tensor, drop: Tensor) -> Tensor:
    r"""Return each row's log-sum-exp of scores, some of which are left out.

    .. math::
        z_b = \log \sum_{k \notin \mathrm{drop}_b} e^{\langle x_b, y_k \rangle}

    Args:
        x_src: ``[B, D]``.
        x_dst: ``[N, D]`` with at least one row.
        drop: ``[B, N]`` True leaves a score out.

    Returns:
        ``[B]``; a very low number for rows without scores.
    """
    found: Tensor = _LogPartitions.apply(x_src, x_dst, drop)
    return found


class _LogPartitions(Function):
    @staticmethod
    def forward(ctx: Any, x_src: Tensor, x_dst: Tensor, drop: Tensor) -> Tensor:  # noqa: ANN401
        scores = total(product(x_src, x_dst)).masked_fill_(drop, LOWEST)  # [B, N]
        top, share = scores.amax(1), scores.softmax(1)
        ctx.save_for_backward(x_src, x_dst, share)
        return top - share.amax(1).log()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # noqa: ANN401
        x_src, x_dst, share = ctx.saved_tensors
        share = share * grad.unsqueeze(-1)
        return product(share, x_dst.t()), product(x_src.t(), share.t()).t(), None
