"""A constant sparse matrix together with its transpose."""

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
        value: ``[E]`` the constant weights.
        order: ``[E]`` int32, the place of each entry in the edge list.
        num_cols: The number of columns.
    """

    rowptr: Tensor
    col: Tensor
    value: Tensor
    order: Tensor
    num_cols: int

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return self.rowptr.numel() - 1

    def to_torch(self) -> Tensor:
        """Return the same arrays as torch's sparse CSR tensor, without a copy."""
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
        """Multiply each entry by its edge's factor ``[E]``, in the edge list."""
        return replace(self, value=self.value * factor.index_select(0, self.order))


@dataclass(frozen=True)
class Adjacency:
    """The messages of one relation: a matrix ``[N, M]`` and its transpose ``[M, N]``.

    Both are stored by rows, so that a product and its gradient are the same kernel.
    The weights are constants: no gradient reaches them.
    """

    matrix: CSR
    transpose: CSR

    @classmethod
    def from_edge_index(
        cls, edge_index: Tensor, edge_weight: Tensor, num_src: int, num_dst: int
    ) -> "Adjacency":
        """Build from PyG's ``edge_index`` ``[2, E]`` (sources first) and its weights.

        Args:
            edge_index: ``[2, E]`` of any integer type, on any device.
            edge_weight: ``[E]``, detached here.
            num_src: ``M``, the number of rows of the messages' sources.
            num_dst: ``N``, the number of rows of their destinations.
        """
        src, dst = edge_index.long()
        weight = edge_weight.detach()
        return cls(
            CSR.from_coo(dst, src, weight, (num_dst, num_src)),
            CSR.from_coo(src, dst, weight, (num_src, num_dst)),
        )

    def drop(self, p: float) -> "Adjacency":
        """Drop each message with probability ``p`` and scale up those that are kept."""
        value = self.matrix.value
        kept = torch.rand(value.shape, device=value.device) >= p  # [E]
        factor = kept.to(value.dtype) / (1 - p)
        return Adjacency(self.matrix.scale(factor), self.transpose.scale(factor))

    def t(self) -> "Adjacency":
        """Return the transpose, without a copy."""
        return Adjacency(self.transpose, self.matrix)

    @cached_property
    def flip(self) -> Tensor:
        """``[E]`` the place in the matrix of each entry of the transpose."""
        order = self.matrix.order
        place = torch.empty_like(order)
        place[order] = torch.arange(
            order.numel(), dtype=order.dtype, device=order.device
        )
        return place.index_select(0, self.transpose.order)


@cache
def silence_sparse_beta() -> None:
    """Let torch say here, unheard, what it says once: its CSR tensors are in beta."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        index = torch.zeros(2, dtype=torch.long, device="cpu")
        values = index[:0].float()
        torch.sparse_csr_tensor(index, index[:0], values, (1, 1), device="cpu")
