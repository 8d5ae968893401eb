"""Log-sum of the Gaussian potentials of all pairs of rows, in chunks."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from pyg_advinfonce.ops.columns import total
from pyg_advinfonce.ops.product import product

# 1 MB in single precision, which fit a CPU's cache, or 64 MB on a GPU.
MAX_SCORES, MAX_SCORES_CUDA = 2**18, 2**24


def log_pair_potential(x: Tensor, t: float, *, max_scores: int | None = None) -> Tensor:
    r"""Return the log-sum of the Gaussian potentials of all pairs of rows.

    .. math::
        \log \sum_{i < j} e^{-t |x_i - x_j|^2}

    Each pair is computed once, in chunks, and the gradient with the value.

    Args:
        x: ``[B, D]`` with at least two rows.
        t: Inverse width of the potential.
        max_scores: Maximum number of pairs in memory, but at least ``B`` (default:
            depends on the device).

    Returns:
        A scalar.
    """
    size = max_scores or (MAX_SCORES_CUDA if x.is_cuda else MAX_SCORES)
    num_rows = max(1, size // x.size(0))
    found: Tensor = _LogPairPotential.apply(x, t, num_rows)
    return found


class _LogPairPotential(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, t: float, num_rows: int) -> Tensor:  # noqa: ANN401
        square, one = t * x.square().sum(1, keepdim=True), x.new_ones(x.size(0), 1)
        left = torch.cat([2 * t * x, -square, -one], 1)  # [B, D + 2]
        right = torch.cat([x, one, square], 1)
        top, found = x.new_full((), -torch.inf), x.new_zeros(())
        pull, mass = torch.zeros_like(x), torch.zeros_like(one)
        for start in range(0, x.size(0), num_rows):
            part, rest = slice(start, start + num_rows), slice(start, None)
            # The squares of this process's columns are a part of those of all.
            logits = total(product(left[part], right[rest]))  # [chunk, B - start]
            before = torch.ones_like(logits[:, :num_rows], dtype=torch.bool).tril_()
            logits[:, :num_rows].masked_fill_(before, -torch.inf)
            last, top = top, torch.maximum(top, logits.max())
            share, fade = logits.sub_(top).exp_(), (last - top).exp()
            found = found * fade + share.sum()
            if ctx.needs_input_grad[0]:
                mass *= fade
                mass[part] += share.sum(1, keepdim=True)
                mass[rest] += share.sum(0).unsqueeze(-1)
                pull *= fade
                pull[part] += product(share, x[rest].t())
                pull[rest] += product(x[part].t(), share.t()).t()
        ctx.save_for_backward(2 * t / found * (pull - mass * x))
        return found.log() + top

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        (slope,) = ctx.saved_tensors
        return grad * slope, None, None
