"""Dense product of the rows of two matrices."""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def product(x: Tensor, y: Tensor) -> Tensor:
    r"""Return :math:`x y^\top`, the scores of rows with rows.

    torch multiplies matrices on a CPU with MKL, which uses AVX-512 on Intel's
    processors only. In single precision this function prefers the kernel of oneDNN that
    torch's compiler calls, about twice as fast on others. It needs no particular
    strides.

    Args:
        x: ``[M, D]``.
        y: ``[N, D]``.

    Returns:
        ``[M, N]``.
    """
    found: Tensor = _Product.apply(x, y)
    return found


class _Product(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(x, y)
        return _product(x, y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:  # noqa: ANN401
        x, y = ctx.saved_tensors
        needs_x, needs_y = ctx.needs_input_grad
        return (
            _product(grad, y.t()) if needs_x else None,
            _product(x.t(), grad.t()).t() if needs_y else None,
        )


def _product(x: Tensor, y: Tensor) -> Tensor:
    is_single = x.dtype == y.dtype == torch.float32
    if x.device.type == "cpu" and is_single and x.numel() and y.numel() and _works():
        return _onednn(x, y)
    with torch.autocast(x.device.type, enabled=False):
        return x @ y.t()


def _onednn(x: Tensor, y: Tensor) -> Tensor:
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, y, None, "none", [], "")
    return found


@cache
def _works() -> bool:
    """Check the kernel, which torch may rename, against the plain product."""
    x, y = (torch.arange(float(2 * n), device="cpu").view(2, n) for n in (3, 5))
    try:
        found = _onednn(x.t(), y.t())
    except (RuntimeError, AttributeError, NotImplementedError):
        return False
    return torch.equal(found, x.t() @ y)
