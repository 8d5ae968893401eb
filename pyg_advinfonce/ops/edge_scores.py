"""Dot products of sampled pairs (SDDMM) with several backends."""

from functools import cache
from typing import Any

import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag
from torch_geometric.index import index2ptr

from pyg_advinfonce.ops.adjacency import silence_sparse_beta
from pyg_advinfonce.ops.default_backends import chosen_backend

BACKENDS = ("fused", "gather", "triton", "bf16")
MOST_GATHERED = 2**28  # bytes of gathered rows on a GPU; the gradient doubles them


def edge_scores(
    x_src: Tensor, x_dst: Tensor, index: Tensor, *, backend: str | None = None
) -> Tensor:
    r"""Score each source row against its sampled destination rows.

    .. math::
        s_{bk} = \langle x_b, y_{\mathrm{index}[b, k]} \rangle

    The ``fused`` backend never allocates the gathered rows ``[B, K, D]``: scores are
    one sampled dense-dense product, and gradients are weighted bag sums. Nor do the
    kernels of Triton, on CUDA only: ``triton``, and ``bf16``, which rounds the rows to
    bfloat16; its sums, scores and gradients are float32. They sort the pairs by
    destination for the gradient, so that all sums have a fixed order.

    Args:
        x_src: ``[B, D]`` source rows.
        x_dst: ``[I, D]`` all destination rows.
        index: ``[B, K]`` row numbers in ``x_dst``.
        backend: ``fused``, ``gather``, ``triton`` or ``bf16`` (default: that of
            :func:`default_edge_scores_backend`).

    Returns:
        ``[B, K]`` scores.

    Raises:
        ValueError: If shapes do not match or the backend is unknown.
        IndexError: If an index is out of range (on a GPU, torch raises its own error,
            and a kernel of Triton returns NaN).
    """
    _check_shapes(x_src, x_dst, index)
    num_bytes = index.numel() * x_dst.size(1) * x_dst.element_size()
    gathers = x_src.device.type != "cpu" and num_bytes <= MOST_GATHERED
    if torch.compiler.is_compiling() and (backend == "fused" or not gathers):
        # Not a decorator: it would import the compiler with this module.
        outside = torch.compiler.disable(_outside_graph)
        return outside(x_src, x_dst, index, backend)
    name = backend or default_edge_scores_backend(x_src.device, num_bytes)
    if name not in BACKENDS:
        raise ValueError(f"backend must be one of {list(BACKENDS)} (got '{name}')")
    if index.numel() and index.device.type == "cpu":  # the fused kernel does not check
        _check_range(index, x_dst.size(0))
    of_torch = name in ("fused", "gather")
    if index.size(1) > x_dst.size(0) and of_torch:  # not supported by the fused kernel
        return (x_src @ x_dst.t()).gather(1, index.long())
    half = x_src.dtype in (torch.float16, torch.bfloat16)
    if name == "gather" or index.numel() == 0 or half:
        return _gather(x_src, x_dst, index)
    scores: Tensor = _EdgeScores.apply(x_src, x_dst, index, name)
    return scores


def _outside_graph(
    x_src: Tensor, x_dst: Tensor, index: Tensor, backend: str | None
) -> Tensor:
    """Score outside a compiled graph, which cannot take a view of sparse values."""
    return edge_scores(x_src, x_dst, index, backend=backend).clone()


def default_edge_scores_backend(device: torch.device, num_bytes: int) -> str:
    """Return the default backend for ``num_bytes`` of gathered rows on a device.

    It is the context's choice (:func:`~pyg_advinfonce.ops.default_backends`), if any.
    Else, on a GPU ``gather`` is faster, since it launches fewer kernels; ``fused`` is
    used if the gathered rows take too much memory. On a CPU ``fused`` is always faster.
    ``gather`` is used if the self-check of ``fused`` fails.
    """
    chosen = chosen_backend("edge_scores")
    if chosen is not None:
        return chosen
    if device.type != "cpu" and num_bytes <= MOST_GATHERED:
        return "gather"
    return "fused" if _fused_works(device.type) else "gather"


def _check_shapes(x_src: Tensor, x_dst: Tensor, index: Tensor) -> None:
    if x_src.dim() != 2 or x_dst.dim() != 2 or x_src.size(1) != x_dst.size(1):
        raise ValueError(
            "x_src [B, D] and x_dst [I, D] must agree in D "
            f"(got {tuple(x_src.shape)} and {tuple(x_dst.shape)})"
        )
    if index.dim() != 2 or index.size(0) != x_src.size(0):
        raise ValueError(
            f"index must be [{x_src.size(0)}, K] (got {tuple(index.shape)})"
        )


def _check_range(index: Tensor, num_rows: int) -> None:
    low, high = (int(bound) for bound in index.aminmax())
    if low < 0 or high >= num_rows:
        wrong = low if low < 0 else high
        raise IndexError(
            f"index must hold rows of x_dst, 0 to {num_rows - 1} (got {wrong})"
        )


def _gather(x_src: Tensor, x_dst: Tensor, index: Tensor) -> Tensor:
    return torch.einsum("bd,bkd->bk", x_src, x_dst[index])


class _EdgeScores(Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        x_src: Tensor,
        x_dst: Tensor,
        index: Tensor,
        backend: str,
    ) -> Tensor:
        index = index.contiguous()
        if backend == "bf16":
            x_src, x_dst = x_src.bfloat16(), x_dst.bfloat16()
        ctx.save_for_backward(x_src, x_dst, index)
        ctx.is_fused = backend == "fused"
        if ctx.is_fused:
            return _fused(x_src, x_dst, index)
        from pyg_advinfonce.ops.row_kernels import pair_scores  # needs triton

        return pair_scores(x_src, x_dst, index)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        grad: Tensor,
    ) -> tuple[Tensor | None, Tensor | None, None, None]:
        x_src, x_dst, index = ctx.saved_tensors
        grad, sums = grad.contiguous(), _weighted_rows if ctx.is_fused else _row_sums
        grad_src = grad_dst = None
        if ctx.needs_input_grad[0]:
            grad_src = sums(index, grad, x_dst)
        if ctx.needs_input_grad[1]:
            rowptr, row, weight = _transpose(index, grad, x_dst.size(0))
            grad_dst = sums(row, weight, x_src, rowptr)
        return grad_src, grad_dst, None, None


def _row_sums(
    index: Tensor, weight: Tensor, x: Tensor, offsets: Tensor | None = None
) -> Tensor:
    from pyg_advinfonce.ops.row_kernels import row_sums  # needs triton

    if offsets is None:
        offsets = _even_offsets(index)
    return row_sums(offsets, index, weight, x)


def _even_offsets(index: Tensor) -> Tensor:
    """Return the offsets ``[B + 1]`` of rows of one width in a flat ``[B, K]``."""
    end, step = index.numel() + 1, index.size(1)
    return torch.arange(0, end, step, dtype=index.dtype, device=index.device)


def _fused(x_src: Tensor, x_dst: Tensor, index: Tensor) -> Tensor:
    (num_src, num_neg), device = index.shape, index.device
    rowptr = _even_offsets(index)
    silence_sparse_beta()
    pattern = torch.sparse_csr_tensor(
        rowptr,
        index.view(-1),
        x_src.new_zeros(index.numel()),
        (num_src, x_dst.size(0)),
        device=device,
        check_invariants=False,  # a row may hold an item twice, in any order
    )
    torch.sparse.sampled_addmm(pattern, x_src, x_dst.t(), beta=0.0, out=pattern)
    return pattern.values().view(num_src, num_neg)


def _weighted_rows(
    index: Tensor, weight: Tensor, x: Tensor, offsets: Tensor | None = None
) -> Tensor:
    return embedding_bag(
        index,
        x.detach(),  # else torch also prepares a gradient
        offsets,
        mode="sum",
        per_sample_weights=weight,
        include_last_offset=offsets is not None,
    )


def _transpose(
    index: Tensor, grad: Tensor, num_dst: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Sort sampled pairs by destination: ``rowptr [I + 1]``, ``row``, ``grad [BK]``."""
    num_src, num_neg = index.shape
    if index.device.type == "cpu" and grad.dtype in (torch.float32, torch.float64):
        indptr = torch.arange(
            0, index.numel() + 1, num_neg, dtype=torch.int32, device=index.device
        )
        parts = (grad.view(-1).numpy(), index.view(-1).int().numpy(), indptr.numpy())
        csc = csr_array(parts, shape=(num_src, num_dst)).tocsc()
        rowptr, row, weight = map(torch.from_numpy, (csc.indptr, csc.indices, csc.data))
        return rowptr, row, weight
    dst, order = index.view(-1).sort(stable=True)
    rowptr = index2ptr(dst.long(), num_dst)  # bincount would wait for a GPU
    return rowptr, order // num_neg, grad.view(-1)[order]


@cache
def _fused_works(device_type: str) -> bool:
    """Check fused kernels against the gather backend, with repeated columns."""
    device = torch.device(device_type)
    x_src = torch.arange(6.0, device=device).view(2, 3).requires_grad_()
    x_dst = (torch.arange(12.0, device=device).view(4, 3) - 5).requires_grad_()
    index = torch.tensor([[3, 0], [1, 1]], device=device)
    try:
        with torch.enable_grad():
            fused = _EdgeScores.apply(x_src, x_dst, index, "fused")
            plain = _gather(x_src, x_dst, index)
            seed = torch.tensor([[1.0, 2.0], [3.0, 4.0]], device=device)
            found = torch.autograd.grad(fused, (x_src, x_dst), seed)
            wanted = torch.autograd.grad(plain, (x_src, x_dst), seed)
    except (RuntimeError, AttributeError, NotImplementedError):
        return False
    pairs = zip((fused, *found), (plain, *wanted), strict=True)
    return all(torch.allclose(a, b) for a, b in pairs)
