"""Sums over the embedding dimension where each process has some of its columns.

The ranks of :mod:`pyg_advinfonce.ranks` own columns of every table ``[N, D]``; all else
is equal on all ranks. In a single process all functions are the plain ones.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear, normalize

from pyg_advinfonce.ranks import Ranks, dividing

DRAWN_ROWS = 1 << 14  # a multiple of 16


def total(x: Tensor) -> Tensor:
    """Return the sum over all columns, given the sum over this rank's columns.

    All ranks compute the same loss from the result, so that its gradient is that of
    every rank's part: the backward pass sums nothing.
    """
    return totals(x)[0]


def totals(*parts: Tensor) -> tuple[Tensor, ...]:
    """Return :func:`total` of several tensors by one exchange."""
    ranks = dividing()
    if ranks is None:
        return parts
    found: tuple[Tensor, ...] = _Totals.apply(ranks, *parts)
    return found


def unit_columns(eps: float, *tables: Tensor) -> tuple[Tensor, ...]:
    """Divide each row by its norm over all columns, or by ``eps`` if that is larger.

    Each rank uses the norms for its own columns, so that the gradients of the norms are
    summed in the backward pass.
    """
    ranks = dividing()
    if ranks is None:
        return tuple(normalize(x, dim=-1, eps=eps) for x in tables)
    found: tuple[Tensor, ...] = _UnitColumns.apply(eps, ranks, *tables)
    return found


def empty_table(num_rows: int, num_columns: int) -> nn.Parameter:
    """Return a table of this rank's columns, on the CPU, to be drawn."""
    ranks = dividing()
    own = slice(0, num_columns) if ranks is None else ranks.columns(num_columns)
    return nn.Parameter(torch.empty(num_rows, own.stop - own.start, device="cpu"))


@torch.no_grad()
def draw_table(
    table: Tensor, num_columns: int, draw: Callable[[Tensor], object]
) -> None:
    """Fill a table with random numbers, the same ones for any number of ranks.

    Args:
        table: Table of this rank's columns, on the CPU.
        num_columns: Number of all columns.
        draw: Function that fills a tensor with independent random numbers.
    """
    ranks = dividing()
    if ranks is None:
        draw(table)
        return
    # torch draws normal numbers by 16, and the last ones of a tensor differently:
    # such chunks, the last one no smaller, have the numbers of the whole table.
    starts = range(0, max(1, len(table) - 15), DRAWN_ROWS)
    for start, end in zip(starts, [*starts[1:], len(table)], strict=True):
        chunk = table.new_empty(end - start, num_columns)
        draw(chunk)
        table[start:end] = ranks.own(chunk)


def divide_input(layer: nn.Linear) -> nn.Linear:
    """Keep the weights of this rank's columns of a layer's input."""
    layer.weight.data = own_columns(layer.weight.data)
    return layer


def apply_linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """Apply a layer whose input has columns, but not its output."""
    if dividing() is None:
        found: Tensor = layer(x)
        return found
    return total(linear(x, layer.weight)) + layer.bias


def unit_noise_like(x: Tensor, num_columns: int, eps: float) -> Tensor:
    """Draw rows of uniform numbers and divide them by their norm over all columns.

    Every rank draws all columns, so that all have the random numbers of one process.
    """
    if dividing() is None:
        draw = torch.rand_like(x)
    else:
        draw = torch.rand(x.size(0), num_columns, dtype=x.dtype, device=x.device)
    draw = draw.to(torch.promote_types(x.dtype, torch.float32))
    found = normalize(draw, dim=-1, eps=eps)
    return own_columns(found)


def whole_columns(x: Tensor) -> Tensor:
    """Return the whole table of which each rank has its columns."""
    ranks = dividing()
    return x if ranks is None else ranks.cat(x, 1)


def own_columns(x: Tensor) -> Tensor:
    """Return this rank's columns of a whole table."""
    ranks = dividing()
    return x if ranks is None else ranks.own(x)


class _Totals(Function):
    @staticmethod
    def forward(ctx: Any, ranks: Ranks, *parts: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401
        return ranks.sum(*parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        return None, *grads


class _UnitColumns(Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        eps: float,
        ranks: Ranks,
        *tables: Tensor,
    ) -> tuple[Tensor, ...]:
        squares = ranks.sum(*(x.square().sum(-1, keepdim=True) for x in tables))
        scales = [x.sqrt().clamp(min=eps) for x in squares]  # [N, 1]
        units = [x / scale for x, scale in zip(tables, scales, strict=True)]
        ctx.eps, ctx.ranks = eps, ranks
        ctx.save_for_backward(*units, *scales)
        return tuple(units)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        units, scales = ctx.saved_tensors[: len(grads)], ctx.saved_tensors[len(grads) :]
        parts = [*zip(grads, units, scales, strict=True)]
        dots = ctx.ranks.sum(*((g * y).sum(-1, keepdim=True) for g, y, _ in parts))
        found = (
            torch.addcmul(g, y, dot * (scale > ctx.eps), value=-1).div_(scale)
            for dot, (g, y, scale) in zip(dots, parts, strict=True)
        )
        return None, None, *found
