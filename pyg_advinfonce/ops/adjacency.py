"""Constant sparse matrices with their transpose."""

import warnings
from dataclasses import dataclass, replace
from functools import cache, cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class CSR:
    """Compressed sparse rows: row ``r`` holds ``col[rowptr[r]:rowptr[r + 1]]``.

    Attributes:
        rowptr: ``[N + 1]`` int32.
        col: ``[E]`` int32.
        value: ``[E]`` constant weights.
        order: ``[E]`` int32 position of each entry in the edge list.
        num_cols: Number of columns.
    """

    rowptr: Tensor
    col: Tensor
    value: Tensor
    order: Tensor
    num_cols: int

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return self.rowptr.numel() - 1

    def to_torch(self) -> Tensor:
        """Return a torch sparse CSR tensor that shares these arrays."""
        silence_sparse_beta()
        size = (self.num_rows, self.num_cols)
        return torch.sparse_csr_tensor(
            self.rowptr,
            self.col,
            self.value,
            size,
            device=self.value.device,
            check_invariants=False,
        )

    @classmethod
    def from_coo(
        cls, row: Tensor, col: Tensor, value: Tensor, size: tuple[int, int]
    ) -> "CSR":
        """Sort ``[E]`` coordinates by row; entries of one row keep their order."""
        order = row.argsort(stable=True)
        count = torch.bincount(row, minlength=size[0])
        rowptr = torch.zeros(size[0] + 1, dtype=torch.int32, device=row.device)
        rowptr[1:] = count.cumsum(0)
        return cls(rowptr, col[order].int(), value[order], order.int(), size[1])

    def scale(self, factor: Tensor) -> "CSR":
        """Multiply each entry by a factor ``[E]``, given in edge-list order."""
        return replace(self, value=self.value * factor.index_select(0, self.order))


@dataclass(frozen=True)
class Adjacency:
    """Adjacency of one relation: a matrix ``[N, M]`` and its transpose ``[M, N]``.

    Both are stored by rows, so that a product and its gradient use the same kernel.
    The weights are constants without gradient.
    """

    matrix: CSR
    transpose: CSR

    @classmethod
    def from_edge_index(
        cls, edge_index: Tensor, edge_weight: Tensor, num_src: int, num_dst: int
    ) -> "Adjacency":
        """Build an adjacency from PyG's ``edge_index`` and edge weights.

        Args:
            edge_index: ``[2, E]`` integers, sources first.
            edge_weight: ``[E]`` weights; they are stored without gradient.
            num_src: ``M``, the number of source nodes.
            num_dst: ``N``, the number of destination nodes.
        """
        src, dst = edge_index.long()
        weight = edge_weight.detach()
        return cls(
            CSR.from_coo(dst, src, weight, (num_dst, num_src)),
            CSR.from_coo(src, dst, weight, (num_src, num_dst)),
        )

    def drop(self, p: float) -> "Adjacency":
        """Drop each message with probability ``p`` and scale the others by 1/(1-p)."""
        value = self.matrix.value
        kept = torch.rand(value.shape, device=value.device) >= p  # [E]
        factor = kept.to(value.dtype) / (1 - p)
        return Adjacency(self.matrix.scale(factor), self.transpose.scale(factor))

    def t(self) -> "Adjacency":
        """Return the transposed adjacency without a copy."""
        return Adjacency(self.transpose, self.matrix)

    @cached_property
    def flip(self) -> Tensor:
        """``[E]`` for each entry of the transpose, its position in the matrix."""
        order = self.matrix.order
        place = torch.empty_like(order)
        place[order] = torch.arange(
            order.numel(), dtype=order.dtype, device=order.device
        )
        return place.index_select(0, self.transpose.order)


@cache
def silence_sparse_beta() -> None:
    """Trigger, and suppress, torch's one-time warning that CSR tensors are beta."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        index = torch.zeros(2, dtype=torch.long, device="cpu")
        values = index[:0].float()
        torch.sparse_csr_tensor(index, index[:0], values, (1, 1), device="cpu")
