"""Batches of positive edges and their negatives."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.errors import GraphError
from pyg_advinfonce.graph import is_among
from pyg_advinfonce.keys import pair_keys

LEAST_LOG_Q = math.log(1e-20)
"""Lower bound of ``neg_log_q``; importance weights above it fit in float32."""

MOST_SCORES = 2**20
"""Scores per part of :meth:`EdgeBatch.split`; a loss and its gradient hold up to 16
matrices of this size, 64 MB in single precision."""

_INDICES = ("src_index", "dst_pos_index", "dst_neg_index", "src_n_id", "dst_n_id")


@dataclass(frozen=True, repr=False, eq=False)
class EdgeBatch:
    """Positive edges and their negatives, with the names of ``LinkNeighborLoader``.

    Indices are row numbers in the embedding tables that a loss is given. In a sampled
    batch they are local; ``src_n_id`` and ``dst_n_id`` map them to global ids, which
    the hardness needs.

    Attributes:
        src_index: ``[B]`` row numbers in ``z_user``.
        dst_pos_index: ``[B]`` row numbers in ``z_item``.
        dst_neg_index: ``[B, K]`` row numbers in ``z_item``; ``[B, 0]`` without
            negatives.
        src_n_id: ``[U]`` global user id per row of ``z_user``; None for the whole
            graph.
        dst_n_id: ``[I]`` global item id per row of ``z_item``; None for the whole
            graph.
        neg_mask: ``[B, K]`` True keeps a negative, False masks it.
        neg_log_q: ``[B, K]`` log of the ratio of a negative's sampling probability to
            that of uniform sampling. Losses correct for it: in expectation a negative
            counts as if it had been drawn uniformly. Values are clamped to at least
            :data:`LEAST_LOG_Q`.
        neg_rows: ``[B, K, D]`` embeddings that are scored in place of the negatives'
            rows of ``z_item``, e.g. mixed hard negatives. Masks and hardness still use
            ``dst_neg_index``.
        ego: ``([U, D], [I, D])`` layer-0 embeddings of users and items, in the order of
            ``z_user`` and ``z_item`` (default: these two); used by
            :class:`~pyg_advinfonce.losses.MLPHardness` only.
        seen: ``[2, M]`` pairs of an edge of the batch, ascending, and a row of
            ``z_item``. If given, all other rows of ``z_item`` are the edge's negatives,
            and ``dst_neg_index`` is ``[B, 0]``
            (:meth:`~pyg_advinfonce.losses.Criterion.over_all_negatives`).

    Raises:
        ValueError: If a shape or data type is another one; values are not checked.
    """

    src_index: Tensor
    dst_pos_index: Tensor
    dst_neg_index: Tensor
    src_n_id: Tensor | None = None
    dst_n_id: Tensor | None = None
    neg_mask: Tensor | None = None
    neg_log_q: Tensor | None = None
    neg_rows: Tensor | None = None
    ego: tuple[Tensor, Tensor] | None = None
    seen: Tensor | None = None

    is_dense: ClassVar[bool] = False
    """Whether every row of ``dst_neg_index`` is all rows of ``z_item`` in order."""

    def __post_init__(self) -> None:
        for name in ("src_index", "dst_pos_index", "dst_neg_index"):
            value = getattr(self, name)
            if not isinstance(value, Tensor):
                raise ValueError(
                    f"{name} must be a tensor (got {type(value).__name__}): use "
                    "torch.tensor"
                )
        size = self.src_index.numel()
        shapes = tuple(self.src_index.shape), tuple(self.dst_pos_index.shape)
        if shapes != ((size,), (size,)):
            raise ValueError(
                "src_index and dst_pos_index must both be [B] "
                f"(got {shapes[0]} and {shapes[1]})"
            )
        if self.dst_neg_index.dim() != 2 or self.dst_neg_index.size(0) != size:
            raise ValueError(
                f"dst_neg_index must be [{size}, K] "
                f"(got {tuple(self.dst_neg_index.shape)}): use [{size}, 1] for one "
                "negative per positive"
            )
        self._check_indices()
        self._check_negatives()
        self._check_seen()
        for side in self.ego or ():
            if side.dim() != 2:
                raise ValueError(
                    "ego must be two tables, [U, D] and [I, D] "
                    f"(got {[tuple(table.shape) for table in self.ego or ()]})"
                )
        if self.neg_log_q is not None:
            least = self.neg_log_q.clamp(min=LEAST_LOG_Q)
            object.__setattr__(self, "neg_log_q", least)

    def _check_indices(self) -> None:
        for name in ("src_n_id", "dst_n_id"):
            n_id = getattr(self, name)
            if n_id is not None and n_id.dim() != 1:
                raise ValueError(
                    f"{name} must be [N], one global id per row "
                    f"(got {tuple(n_id.shape)})"
                )
        for name in (*_INDICES, "seen"):
            index = getattr(self, name)
            if index is not None and index.dtype not in (torch.int64, torch.int32):
                raise ValueError(
                    f"{name} must be int64 or int32 (got {_dtype(index)}): use .long()"
                )

    def _check_negatives(self) -> None:
        """Check what is given per negative; a broadcast would count negatives wrong."""
        drawn = size, num_neg = tuple(self.dst_neg_index.shape)
        for name in ("neg_mask", "neg_log_q"):
            value = getattr(self, name)
            if value is not None and tuple(value.shape) != drawn:
                raise ValueError(
                    f"{name} must be [{size}, {num_neg}], one value per negative "
                    f"(got {tuple(value.shape)})"
                )
        if self.neg_mask is not None and self.neg_mask.dtype != torch.bool:
            raise ValueError(
                f"neg_mask must be bool (got {_dtype(self.neg_mask)}): use .bool()"
            )
        if self.neg_log_q is not None and not self.neg_log_q.is_floating_point():
            raise ValueError(
                f"neg_log_q must be floating point (got {_dtype(self.neg_log_q)}): "
                "use .float()"
            )
        shape = None if self.neg_rows is None else tuple(self.neg_rows.shape)
        if shape is not None and (len(shape) != 3 or shape[:2] != drawn):
            raise ValueError(
                f"neg_rows must be [{size}, {num_neg}, D], one row per negative "
                f"(got {shape})"
            )

    def _check_seen(self) -> None:
        if self.seen is None:
            return
        if self.seen.dim() != 2 or self.seen.size(0) != 2:
            raise ValueError(
                "seen must be [2, M], pairs of an edge and a row of z_item "
                f"(got {tuple(self.seen.shape)})"
            )
        given = ("neg_mask", "neg_log_q", "neg_rows", "dst_n_id")
        wrong = [name for name in given if getattr(self, name) is not None]
        if wrong or self.dst_neg_index.size(1) > 0:
            raise ValueError(
                "with seen the negatives are all other items: dst_neg_index must be "
                f"[{self.src_index.numel()}, 0] and {', '.join(given)} None (got "
                f"{tuple(self.dst_neg_index.shape)} and {', '.join(wrong) or 'none'})"
            )

    def __repr__(self) -> str:
        always = ("src_index", "dst_pos_index", "dst_neg_index")
        options = [name for name in _names() if name not in always]
        given = [name for name in options if getattr(self, name) is not None]
        shape = f"B={self.src_index.numel()}, K={self.dst_neg_index.size(1)}"
        return f"EdgeBatch({', '.join([shape, *given])})"

    def __eq__(self, other: object) -> bool:
        """Return whether both have the same fields with equal tensors."""
        if not isinstance(other, EdgeBatch):
            return NotImplemented
        return all(
            _equal(getattr(self, name), getattr(other, name)) for name in _names()
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def user_id(self) -> Tensor:
        """Global user ids ``[B]``."""
        return _global(self.src_index, self.src_n_id)

    @property
    def pos_id(self) -> Tensor:
        """Global ids of the positives ``[B]``."""
        return _global(self.dst_pos_index, self.dst_n_id)

    @property
    def neg_id(self) -> Tensor:
        """Global ids of the negatives ``[B, K]``."""
        return _global(self.dst_neg_index, self.dst_n_id)

    @property
    def neg_importance(self) -> Tensor | float:
        """Importance weights of the negatives ``[B, K]``; 1.0 for uniform sampling."""
        return 1.0 if self.neg_log_q is None else (-self.neg_log_q).exp()

    @property
    def num_kept(self) -> Tensor | int:
        """``[B]`` number of unmasked negatives, at least 1; K without a mask."""
        if self.neg_mask is None:
            return self.dst_neg_index.size(1)
        return self.neg_mask.sum(-1).clamp(min=1)

    @classmethod
    def from_hetero(
        cls,
        batch: HeteroData,
        *,
        exclude: Tensor | None = None,
        dst_weight: Tensor | None = None,
        user: str = "user",
        item: str = "item",
    ) -> "EdgeBatch":
        """Convert a batch of ``LinkNeighborLoader`` in triplet mode.

        Args:
            batch: The sampled batch.
            exclude: ``[2, E]`` global user-item pairs, on any device; negatives among
                them are masked (PyG's sampler does not avoid observed positives).
            dst_weight: ``[I]`` the loader's ``dst_weight``, if used: losses then
                correct for non-uniform negatives (log-q correction).
            user: Node type of the sources.
            item: Node type of the destinations.

        Raises:
            GraphError: If the batch is not a HeteroData with these node types, or was
                not sampled in triplet mode.
            ValueError: If the weights are negative, not finite, all zero or not
                ``[I]``, or the pairs to exclude are not ``[2, E]``.
        """
        if not isinstance(batch, HeteroData):
            raise GraphError(
                f"expected a batch of a HeteroData with the node types '{user}' and "
                f"'{item}' (got {type(batch).__name__}): build a HeteroData, e.g. with "
                "build_graph, and number items from 0 instead of after the users"
            )
        if not {user, item} <= set(batch.node_types):
            raise GraphError(
                f"expected the node types '{user}' and '{item}' (got "
                f"{batch.node_types}): pass user=... and item=..."
            )
        if "src_index" not in batch[user] or "dst_neg_index" not in batch[item]:
            raise GraphError(
                f"expected src_index of '{user}' and dst_neg_index of '{item}' (got "
                "a batch without): sample with neg_sampling=dict(mode='triplet', "
                "amount=K)"
            )
        negatives = batch[item].dst_neg_index  # [B, K], or [B]: PyG squeezes K = 1
        edges = cls(
            src_index=batch[user].src_index,
            dst_pos_index=batch[item].dst_pos_index,
            dst_neg_index=negatives.view(batch[user].src_index.numel(), -1),
            src_n_id=batch[user].get("n_id"),
            dst_n_id=batch[item].get("n_id"),
        )
        if dst_weight is not None:
            weight = dst_weight.to(edges.src_index.device)
            edges = replace(edges, neg_log_q=_log_rate(weight)[edges.neg_id])
        return edges if exclude is None else edges.mask_pairs(exclude)

    def to(
        self, device: torch.device | str | int, non_blocking: bool = False
    ) -> "EdgeBatch":
        """Return the same edges on a device.

        Args:
            device: The device.
            non_blocking: Copy without waiting, which needs pinned memory.
        """
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "EdgeBatch":
        """Return the same edges in pinned memory, as a ``DataLoader`` asks for."""
        return self._map(Tensor.pin_memory)

    def _map(self, function: Callable[[Tensor], Tensor]) -> "EdgeBatch":
        """Return a batch with the function's result for each tensor."""

        def mapped(value: Tensor | tuple[Tensor, ...] | None) -> object:
            if isinstance(value, tuple):
                return tuple(function(tensor) for tensor in value)
            return None if value is None else function(value)

        values: dict[str, Any] = {n: mapped(getattr(self, n)) for n in _names()}
        return replace(self, **values)

    def whole_graph(self) -> "EdgeBatch":
        """Return the same edges with global ids, for embeddings of the whole graph."""
        return replace(
            self,
            src_index=self.user_id,
            dst_pos_index=self.pos_id,
            dst_neg_index=self.neg_id,
            src_n_id=None,
            dst_n_id=None,
            ego=None,
        )

    def of_rows(self, num_users: int, num_items: int) -> "EdgeBatch":
        """Return the same edges with row numbers among the rows that they read.

        The inverse of :meth:`whole_graph`. A table of which they read more than half
        stays whole, and so does that of items if all are negatives.

        Args:
            num_users: ``U``, number of rows of ``z_user``.
            num_items: ``I``, number of rows of ``z_item``.

        Raises:
            IndexError: If an index is out of range.
        """
        found = self
        if 2 * self.src_index.numel() <= num_users:
            row, local = _numbered("z_user", num_users, src_index=self.src_index)
            found = replace(found, src_n_id=row, src_index=local[0])
        read = self.dst_pos_index.numel() + self.dst_neg_index.numel()
        if self.seen is None and 2 * read <= num_items:
            row, (pos, neg) = _numbered(
                "z_item",
                num_items,
                dst_pos_index=self.dst_pos_index,
                dst_neg_index=self.dst_neg_index,
            )
            found = replace(found, dst_n_id=row, dst_pos_index=pos, dst_neg_index=neg)
        return found

    def mask_pairs(self, pairs: Tensor) -> "EdgeBatch":
        """Mask the negatives that are among the global user-item ``pairs [2, E]``.

        Raises:
            ValueError: If the pairs are not ``[2, E]``, or the batch has ``seen``.
        """
        if self.seen is not None:
            raise ValueError(
                "mask_pairs needs sampled negatives (got a batch with seen): add the "
                "pairs to seen"
            )
        if pairs.dim() != 2 or pairs.size(0) != 2:
            raise ValueError(f"pairs must be [2, E] (got {tuple(pairs.shape)})")
        if pairs.size(1) == 0 or self.dst_neg_index.numel() == 0:
            return self
        known = pair_keys(*pairs.to(self.src_index.device)).sort().values  # [E]
        asked = pair_keys(self.user_id.unsqueeze(-1), self.neg_id)  # [B, K]
        keep = ~is_among(asked, known)
        return replace(
            self, neg_mask=keep if self.neg_mask is None else keep & self.neg_mask
        )

    def sum_of_negatives(self, values: Tensor, index: Tensor) -> Tensor:
        """Sum one value per item over the unmasked negatives of all edges.

        Args:
            values: ``[I]`` value of each item.
            index: ``[B, K]`` the negatives' positions in ``values``.
        """
        if self.seen is not None:
            every = values.sum() * self.src_index.numel()
            return every - values[self.seen[1]].sum()
        found = values[index]  # [B, K]
        if self.neg_mask is not None:
            found = found.masked_fill(~self.neg_mask, 0.0)
        return found.sum()

    def split(self, num_items: int) -> "list[EdgeBatch]":
        """Split a batch with ``seen`` into parts of at most ``MOST_SCORES`` scores.

        A part has at least one edge. A batch without ``seen`` is its only part.

        Args:
            num_items: ``I``, number of rows of ``z_item``.

        Raises:
            ValueError: If the edges of ``seen`` are not in ascending order.
        """
        size = max(1, MOST_SCORES // max(num_items, 1))
        if self.seen is None or self.src_index.numel() <= size:
            return [self]
        edges, total = self.seen[0].contiguous(), self.src_index.numel()
        first = torch.arange(size, total, size, dtype=edges.dtype, device=edges.device)
        places = torch.searchsorted(edges, first)
        is_wrong = (edges.diff() < 0).any()
        # The only wait for a GPU.
        *ends, is_out_of_order = torch.cat([places, is_wrong.view(1)]).tolist()
        if is_out_of_order:
            raise ValueError(
                "seen must list the edges in ascending order: sort its columns, "
                "seen[:, seen[0].argsort()]"
            )
        users, items = self.src_index.split(size), self.dst_pos_index.split(size)
        return [
            replace(
                self,
                src_index=users[k],
                dst_pos_index=items[k],
                dst_neg_index=self.dst_neg_index[: len(users[k])],
                seen=torch.stack([edge - k * size, row]),
            )
            for k, (edge, row) in enumerate(self.seen.tensor_split(ends, dim=1))
        ]

    def dense(self, num_items: int) -> "EdgeBatch":
        """Return a batch with ``seen`` with all items as negatives, masked by ``seen``.

        Its ``dst_neg_index`` takes no memory, its ``neg_mask`` one byte per score: see
        :meth:`split`. A batch without ``seen`` is returned as it is.

        Args:
            num_items: ``I``, number of rows of ``z_item``.
        """
        if self.seen is None:
            return self
        size, device = self.src_index.numel(), self.src_index.device
        mask = None
        if self.seen.size(1) > 0:
            mask = torch.ones(size, num_items, dtype=torch.bool, device=device)
            mask[self.seen[0], self.seen[1]] = False
        every = torch.arange(num_items, device=device)
        kept = {name: getattr(self, name) for name in _names()}
        kept |= {"dst_neg_index": every.expand(size, -1), "neg_mask": mask}
        return _DenseBatch(**kept | {"seen": None})


class _DenseBatch(EdgeBatch):
    """A batch whose scores are a matrix product."""

    is_dense = True


def _names() -> list[str]:
    return [field.name for field in fields(EdgeBatch)]


def _equal(a: object, b: object) -> bool:
    """Return whether two fields are equal; tensors on two devices are not."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        alike = a.device == b.device and a.dtype == b.dtype
        return alike and torch.equal(a, b)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    return a is b


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _numbered(table: str, size: int, **indices: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the ascending values of all indices, and each value's place in them."""
    device = next(iter(indices.values())).device
    is_read = torch.zeros(size, dtype=torch.bool, device=device)
    for name, index in indices.items():
        low, high = map(int, index.aminmax()) if index.numel() else (0, 0)
        if low < 0 or high >= size:  # a negative one would count from the end
            raise IndexError(
                f"{name} must hold rows of {table}, 0 to {size - 1} "
                f"(got {low} to {high})"
            )
        is_read[index] = True
    place = is_read.cumsum(0) - 1
    return is_read.nonzero().view(-1), [place[index] for index in indices.values()]


def _global(index: Tensor, n_id: Tensor | None) -> Tensor:
    return index if n_id is None else n_id[index]


def _log_rate(weight: Tensor) -> Tensor:
    """Return the log ratio ``[I]`` of sampling probabilities to uniform ones."""
    if weight.dim() != 1:
        raise ValueError(
            f"dst_weight must be [I], one weight per item (got {tuple(weight.shape)})"
        )
    total = weight.sum()
    if bool((weight < 0).any()) or not 0 < float(total) < float("inf"):
        raise ValueError(
            "dst_weight must be finite, not negative and not all zero "
            f"(got a sum of {float(total)}): pass the loader's dst_weight"
        )
    return (weight * (weight.numel() / total)).log()
