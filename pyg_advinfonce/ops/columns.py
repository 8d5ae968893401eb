"""Sums over the embedding dimension where each process has some of its columns.

The ranks of :mod:`pyg_advinfonce.ranks` own columns of every table ``[N, D]``; all else
is equal on all ranks. In a single process all functions are the plain ones.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear, normalize

from pyg_advinfonce.ranks import Ranks, dividing


def total(x: Tensor) -> Tensor:
    """Return the sum over all columns, given the sum over this rank's columns.

    All ranks compute the same loss from the result, so that its gradient is that of
    every rank's part: the backward pass sums nothing.
    """
    ranks = dividing()
    if ranks is None:
        return x
    found: Tensor = _Total.apply(x, ranks)
    return found


def unit_columns(x: Tensor, eps: float) -> Tensor:
    """Divide each row by its norm over all columns, or by ``eps`` if that is larger.

    Each rank uses the norms for its own columns, so that the gradients of the norms are
    summed in the backward pass.
    """
    ranks = dividing()
    if ranks is None:
        return normalize(x, dim=-1, eps=eps)
    found: Tensor = _UnitColumns.apply(x, eps, ranks)
    return found


def apply_linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """Apply a layer whose input has columns, but not its output."""
    if dividing() is None:
        found: Tensor = layer(x)
        return found
    return total(linear(x, layer.weight)) + layer.bias


def unit_noise_like(x: Tensor, eps: float) -> Tensor:
    """Draw rows of uniform numbers and divide them by their norm over all columns.

    Every rank draws all columns, so that all have the random numbers of one process.
    """
    ranks = dividing()
    if ranks is None:
        draw = torch.rand_like(x)
    else:
        draw = torch.rand(x.size(0), ranks.width, dtype=x.dtype, device=x.device)
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


class _Total(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, ranks: Ranks) -> Tensor:  # noqa: ANN401
        return ranks.sum(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return grad, None


class _UnitColumns(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float, ranks: Ranks) -> Tensor:  # noqa: ANN401
        norm = ranks.sum(x.square().sum(-1, keepdim=True)).sqrt()  # [N, 1]
        scale = norm.clamp(min=eps)
        ctx.ranks = ranks
        y = x / scale
        ctx.save_for_backward(y, scale, norm > eps)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        y, scale, has_slope = ctx.saved_tensors
        along = ctx.ranks.sum((grad * y).sum(-1, keepdim=True)) * has_slope
        return (grad - y * along) / scale, None, None
