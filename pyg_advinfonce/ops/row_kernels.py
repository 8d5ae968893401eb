"""Triton kernels for rows of tables: dot products of pairs, and weighted sums.

Tables are read in their own type, e.g. bfloat16; sums are float32, or float64 for
tables in float64. No kernel uses atomic operations, so the order of each sum, and with
it each bit, depends on the operands only.
"""

import os

import torch
import triton
import triton.language as tl
from torch import Tensor

_MOST_COLUMNS = 128  # per block of a row
_ENTRIES = 32  # rows that a program gathers at once


@triton.jit
def _score(
    x_src,
    x_dst,
    index,
    out,
    num_dst,
    width,
    dim,
    entries: tl.constexpr,
    columns: tl.constexpr,
    total: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    place = tl.program_id(1) * entries + tl.arange(0, entries)
    exists = place < width
    dst = tl.load(index + row * width + place, mask=exists, other=0).to(tl.int64)
    known = (dst >= 0) & (dst < num_dst)
    score = tl.zeros([entries], dtype=total)
    for first in range(0, dim, columns):
        column = first + tl.arange(0, columns)
        inside = column < dim
        x = tl.load(x_src + row * dim + column, mask=inside, other=0.0).to(total)
        y = tl.load(
            x_dst + dst[:, None] * dim + column[None, :],
            mask=(exists & known)[:, None] & inside[None, :],
            other=0.0,
        ).to(total)
        score += tl.sum(x[None, :] * y, axis=1)
    score = tl.where(known, score, float("nan"))
    tl.store(out + row * width + place, score, mask=exists)


@triton.jit
def _sum(
    rowptr,
    col,
    value,
    x,
    out,
    dim,
    entries: tl.constexpr,
    columns: tl.constexpr,
    total: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * columns + tl.arange(0, columns)
    inside = column < dim
    start = tl.load(rowptr + row).to(tl.int64)
    end = tl.load(rowptr + row + 1).to(tl.int64)
    found = tl.zeros([columns], dtype=total)
    for first in range(start, end, entries):
        place = first + tl.arange(0, entries)
        exists = place < end
        src = tl.load(col + place, mask=exists, other=0).to(tl.int64)
        weight = tl.load(value + place, mask=exists, other=0.0).to(total)
        rows = tl.load(
            x + src[:, None] * dim + column[None, :],
            mask=exists[:, None] & inside[None, :],
            other=0.0,
        ).to(total)
        found += tl.sum(rows * weight[:, None], axis=0)
    tl.store(out + row * dim + column, found, mask=inside)


def pair_scores(x_src: Tensor, x_dst: Tensor, index: Tensor) -> Tensor:
    r"""Return :math:`\langle x_b, y_{\mathrm{index}[b, k]} \rangle`.

    Args:
        x_src: ``[B, D]``.
        x_dst: ``[I, D]`` of the same type.
        index: ``[B, K]`` row numbers in ``x_dst``; one out of range scores NaN.

    Returns:
        ``[B, K]``, float32 for tables in half precision.

    Raises:
        ValueError: If the tables are not on a GPU.
    """
    _check_device(x_src)
    x_src, x_dst, index = x_src.contiguous(), x_dst.contiguous(), index.contiguous()
    (num_src, width), dim = index.shape, x_src.size(1)
    out = x_src.new_empty(num_src, width, dtype=_sum_type(x_src))
    if out.numel() > 0:
        entries = min(_ENTRIES, triton.next_power_of_2(width))
        grid, given = (num_src, triton.cdiv(width, entries)), (x_src, x_dst, index, out)
        with torch.cuda.device_of(out):  # Triton takes the current one
            _score[grid](*given, len(x_dst), width, dim, entries, **_block(x_src))
    return out


def row_sums(rowptr: Tensor, col: Tensor, value: Tensor, x: Tensor) -> Tensor:
    r"""Return :math:`\sum_e v_e x_{c_e}` over the entries of each sparse row.

    Args:
        rowptr: ``[N + 1]`` first entry of each row.
        col: ``[E]`` row numbers in ``x``.
        value: ``[E]`` weights.
        x: ``[M, D]``.

    Returns:
        ``[N, D]``, float32 for a table in half precision.

    Raises:
        ValueError: If the table is not on a GPU.
    """
    _check_device(x)
    x = x.contiguous()
    out = x.new_empty(rowptr.numel() - 1, x.size(1), dtype=_sum_type(x))
    if out.numel() > 0:
        block, dim = _block(x), x.size(1)
        grid = out.size(0), triton.cdiv(dim, block["columns"])
        with torch.cuda.device_of(out):
            _sum[grid](rowptr, col, value, x, out, dim, _ENTRIES, **block)
    return out


def _check_device(x: Tensor) -> None:
    if not x.is_cuda and os.environ.get("TRITON_INTERPRET") != "1":
        raise ValueError(
            "the backends 'triton' and 'bf16' expect tensors on a GPU "
            f"(got {x.device}): choose another backend"
        )


def _sum_type(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _block(x: Tensor) -> dict[str, object]:
    columns = min(_MOST_COLUMNS, triton.next_power_of_2(x.size(1)))
    is_double = x.dtype == torch.float64
    return {"columns": columns, "total": tl.float64 if is_double else tl.float32}
