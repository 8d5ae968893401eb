"""Sparse-dense product of adjacency and rows (SpMM) with several backends."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag

from pyg_advinfonce.ops.adjacency import CSR, Adjacency
from pyg_advinfonce.ops.default_backends import chosen_backend


def propagate(adjacency: Adjacency, x: Tensor, *, backend: str | None = None) -> Tensor:
    r"""Sum the weighted messages of one relation.

    .. math::
        y_i = \sum_{j \in \mathcal{N}(i)} w_{ij} x_j

    Args:
        adjacency: ``[N, M]`` adjacency of the relation.
        x: ``[M, D]`` source rows.
        backend: ``embedding_bag`` (fused kernel; default on CPU, and on CUDA with
            deterministic algorithms), ``csr`` (torch's sparse product; default on
            CUDA), ``gather`` (plain indexing), ``triton`` (a kernel of Triton, on CUDA
            only) or ``bf16`` (the same, with ``x`` and the output's gradient rounded
            to bfloat16; weights, sums and results are float32).

    Returns:
        ``[N, D]``; zero for destinations without messages.

    Raises:
        ValueError: If ``x`` does not have ``M`` rows or the backend is unknown.
    """
    if x.dim() != 2 or x.size(0) != adjacency.matrix.num_cols:
        raise ValueError(
            f"x must be [{adjacency.matrix.num_cols}, D] (got {tuple(x.shape)})"
        )
    name = backend or default_propagate_backend(x.device)
    if name not in BACKENDS:
        raise ValueError(f"backend must be one of {list(BACKENDS)} (got '{name}')")
    product: Tensor = _Propagate.apply(adjacency, x, name)
    return product


def sparse_product(matrix: CSR, x: Tensor, backend: str | None = None) -> Tensor:
    """Return the product of a matrix with rows ``[M, D]``, without a gradient."""
    return BACKENDS[backend or _of_device(x.device)](matrix, x)


def default_propagate_backend(device: torch.device) -> str:
    """Return the default backend: the context's choice, else that of the device.

    The product of cuSPARSE is not bit-reproducible; embedding_bag sums each row in
    order.
    """
    return chosen_backend("propagate") or _of_device(device)


def _of_device(device: torch.device) -> str:
    in_order = device.type == "cpu" or torch.are_deterministic_algorithms_enabled()
    return "embedding_bag" if in_order else "csr"


class _Propagate(Function):
    @staticmethod
    def forward(ctx: Any, adjacency: Adjacency, x: Tensor, backend: str) -> Tensor:  # noqa: ANN401
        ctx.adjacency, ctx.backend = adjacency, backend
        return BACKENDS[backend](adjacency.matrix, x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, None]:  # noqa: ANN401
        product = BACKENDS[ctx.backend](ctx.adjacency.transpose, grad.contiguous())
        return None, product, None


def _embedding_bag(matrix: CSR, x: Tensor) -> Tensor:
    if matrix.num_rows == 0 or matrix.col.numel() == 0:
        return x.new_zeros(matrix.num_rows, x.size(1))
    return embedding_bag(
        matrix.col,
        x.detach(),  # else torch also prepares a gradient
        matrix.rowptr,
        mode="sum",
        per_sample_weights=matrix.value.to(x.dtype),
        include_last_offset=True,
    )


def _csr(matrix: CSR, x: Tensor) -> Tensor:
    return matrix.to_torch().to(x.dtype) @ x


def _gather(matrix: CSR, x: Tensor) -> Tensor:
    row = torch.repeat_interleave(matrix.rowptr.diff())  # [E]
    messages = x[matrix.col] * matrix.value.to(x.dtype).unsqueeze(-1)  # [E, D]
    return x.new_zeros(matrix.num_rows, x.size(1)).index_add_(0, row, messages)


def _triton(matrix: CSR, x: Tensor) -> Tensor:
    from pyg_advinfonce.ops.row_kernels import row_sums  # needs triton

    return row_sums(matrix.rowptr, matrix.col, matrix.value, x)


def _bf16(matrix: CSR, x: Tensor) -> Tensor:
    return _triton(matrix, x.bfloat16())


BACKENDS: Mapping[str, Callable[[CSR, Tensor], Tensor]] = {
    "embedding_bag": _embedding_bag,
    "csr": _csr,
    "gather": _gather,
    "triton": _triton,
    "bf16": _bf16,
}
