"""Constant sparse matrices with their transpose."""

import warnings
from dataclasses import dataclass, replace
from functools import cache, cached_property

import torch
from scipy.sparse import csr_array
from torch import Tensor


@dataclass(frozen=True)
class CSR:
    """Compressed sparse rows: row ``r`` holds ``col[rowptr[r]:rowptr[r + 1]]``.

    Attributes:
        rowptr: ``[N + 1]`` int32, or int64 from 2**31 entries on.
        col: ``[E]`` of the same type.
        value: ``[E]`` constant weights.
        num_cols: Number of columns.
        place: ``[E]`` position of each entry in the edge list, if it is stored.
        listed: Matrix in the order of the edge list whose transpose this is, if so.
    """

    rowptr: Tensor
    col: Tensor
    value: Tensor
    num_cols: int
    place: Tensor | None = None
    listed: "CSR | None" = None

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return self.rowptr.numel() - 1

    @cached_property
    def order(self) -> Tensor:
        """``[E]`` position of each entry in the edge list, from the first use on."""
        if self.place is not None:
            return self.place
        if self.listed is not None:
            return self.listed.col.argsort(stable=True).to(self.col.dtype)
        return torch.arange(
            self.col.numel(), dtype=self.col.dtype, device=self.col.device
        )

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
        order = None if _is_sorted(row) else row.argsort(stable=True)
        dtype = torch.int32 if row.numel() < 2**31 else torch.int64
        rowptr = torch.zeros(size[0] + 1, dtype=dtype, device=row.device)
        rowptr[1:] = torch.bincount(row, minlength=size[0]).cumsum(0)
        if order is None:
            return cls(rowptr, col.to(dtype), value, size[1])
        place = order.to(dtype)
        return cls(rowptr, col[order].to(dtype), value[order], size[1], place)

    def t(self) -> "CSR":
        """Return the transpose of a matrix in the order of the edge list."""
        if self._is_of_scipy:
            csc = self._scipy.tocsc()
            parts = (csc.indptr, csc.indices, csc.data)
            rowptr, col, value = map(torch.from_numpy, parts)
            found = CSR(rowptr, col, value, self.num_rows)
        else:
            row = torch.repeat_interleave(self.rowptr.diff())  # [E]
            size = (self.num_cols, self.num_rows)
            found = CSR.from_coo(self.col, row, self.value, size)
        return replace(found, place=None, listed=self)

    @property
    def _is_of_scipy(self) -> bool:
        is_float = self.value.dtype in (torch.float32, torch.float64)
        return is_float and self.value.device.type == "cpu"

    @cached_property
    def _scipy(self) -> csr_array:
        """Matrix of SciPy that shares these arrays; its checks are slow."""
        arrays = (x.numpy() for x in (self.value, self.col, self.rowptr))
        return csr_array(tuple(arrays), shape=(self.num_rows, self.num_cols))

    def rows(self, row: Tensor) -> "CSR":
        """Return chosen rows ``[n]`` in this order."""
        start = self.rowptr[row].long()
        count = self.rowptr[row + 1] - start
        if self._is_of_scipy and int(count.sum()) > _FEW:
            return _of_scipy(self._scipy[row.numpy()])
        rowptr = torch.zeros(len(row) + 1, dtype=self.rowptr.dtype, device=row.device)
        rowptr[1:] = end = count.cumsum(0)
        place = (start - end + count).repeat_interleave(count)
        place += torch.arange(len(place), device=place.device)
        col, value = (x.index_select(0, place) for x in (self.col, self.value))
        return CSR(rowptr, col, value, self.num_cols)

    def scale(self, factor: Tensor) -> "CSR":
        """Multiply each entry by a factor ``[E]``, given in edge-list order."""
        return replace(self, value=self.value * factor.index_select(0, self.order))


def _of_scipy(matrix: csr_array) -> CSR:
    parts = (matrix.indptr, matrix.indices, matrix.data)
    rowptr, col, value = map(torch.from_numpy, parts)
    found = CSR(rowptr, col, value, matrix.shape[1])
    found.__dict__["_scipy"] = matrix
    return found


_FEW = 2**14  # entries for which rows of SciPy take longer than torch


def _is_sorted(row: Tensor) -> bool:
    return not bool((row[1:] < row[:-1]).any())


@dataclass(frozen=True)
class Adjacency:
    """Adjacency of one relation: a matrix ``[N, M]`` and its transpose ``[M, N]``.

    Both are stored by rows, so that a product and its gradient use the same kernel.
    The weights are constants without gradient.
    """

    matrix: CSR
    transpose: CSR

    @classmethod
    def of(cls, matrix: CSR) -> "Adjacency":
        """Build an adjacency from a matrix in the order of the edge list."""
        return cls(matrix, matrix.t())

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
        matrix = CSR.from_coo(dst, src, weight, (num_dst, num_src))
        if matrix.place is None:
            return cls.of(matrix)
        transpose = CSR.from_coo(src, dst, weight, (num_src, num_dst))
        if transpose.place is None:
            return cls.of(transpose).t()
        return cls(matrix, transpose)

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
