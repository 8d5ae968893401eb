"""Sorted train pairs in 4 bytes each, and edges that are computed from them."""

import weakref
from collections import UserDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data.storage import EdgeStorage


@dataclass(frozen=True, eq=False)
class Pairs:
    """User-item pairs sorted by user, then item.

    Attributes:
        start: ``[U + 1]`` place of each user's first item.
        item: ``[E]`` items; user ``u`` has ``item[start[u]:start[u + 1]]``. Both are
            int32, or int64 from 2**31 pairs on.
    """

    start: Tensor
    item: Tensor

    @classmethod
    def of(cls, edges: Tensor, num_users: int, num_items: int) -> "Pairs":
        """Sort pairs ``[2, E]`` and merge equal ones.

        Besides the pairs it holds at most 17 bytes per pair at a time.
        """
        key = edges[0].to(torch.long, copy=True)  # [E]
        key.mul_(num_items).add_(edges[1])
        if bool((key[1:] < key[:-1]).any()):
            if key.device.type == "cpu":
                key.numpy().sort()  # in place, unlike torch's
            else:
                key = key.sort().values
        is_new = key[1:] != key[:-1]
        if not bool(is_new.all()):
            key = torch.cat([key[:1], key[1:][is_new]])
        dtype = torch.int32 if key.numel() < 2**31 else torch.int64
        first = torch.arange(num_users + 1, device=key.device) * num_items
        start = torch.searchsorted(key, first).to(dtype)
        return cls(start, key.remainder_(max(num_items, 1)).to(dtype))

    @property
    def degree(self) -> Tensor:
        """Number of each user's items ``[U]``, int64."""
        return self.start.diff().long()

    @property
    def user(self) -> Tensor:
        """Each pair's user ``[E]``, of the type of the items."""
        return torch.repeat_interleave(self.start.diff())

    def edge_index(self, *, is_reverse: bool = False) -> Tensor:
        """Return the pairs ``[2, E]`` int64, users first, or items if reversed."""
        index = self.item.new_empty(2, self.item.numel(), dtype=torch.long)
        index[int(is_reverse)] = self.user
        index[1 - int(is_reverse)] = self.item
        return index

    def to(self, device: torch.device | str) -> "Pairs":
        """Return the pairs on a device."""
        return Pairs(self.start.to(device), self.item.to(device))


class _Computed:
    """An ``edge_index`` that is computed when it is read, once while it is in use."""

    def __init__(self, pairs: Pairs, is_reverse: bool) -> None:
        self.pairs, self.is_reverse = pairs, is_reverse
        self._made: Callable[[], Tensor | None] = lambda: None

    def __call__(self) -> Tensor:
        found = self._made()
        if found is None:
            found = self.pairs.edge_index(is_reverse=self.is_reverse)
            self._made = weakref.ref(found)
        return found

    def __reduce__(self) -> tuple[type["_Computed"], tuple[Pairs, bool]]:
        return type(self), (self.pairs, self.is_reverse)


class _Edges(UserDict[str, Any]):
    """Content of an edge store: what was set, and a computed ``edge_index``.

    Setting ``edge_index``, as PyG's functions do with their result, replaces it by the
    given tensor. A copy, also a pickled one, keeps it computed.
    """

    def __repr__(self) -> str:
        return repr(dict(self))

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401
        value = self.data[key]
        return value() if isinstance(value, _Computed) else value

    def __contains__(self, key: object) -> bool:
        return key in self.data

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401
        return self[key] if key in self.data else default


def set_pairs(
    forward: EdgeStorage, reverse: EdgeStorage, pairs: Pairs, **shared: Tensor
) -> None:
    """Let both directions' ``edge_index`` be computed from pairs when it is read.

    Args:
        forward: The edges from users to items; other content is kept.
        reverse: The edges from items to users.
        pairs: The pairs.
        **shared: Further values ``[E]`` of both directions.
    """
    for store, is_reverse in ((forward, False), (reverse, True)):
        content: Mapping[str, Any] = getattr(store._mapping, "data", store._mapping)
        index = _Computed(pairs, is_reverse)
        store._mapping = _Edges({**content, "edge_index": index, **shared})


def stored_pairs(store: EdgeStorage) -> Pairs | None:
    """Return the pairs from which a store's ``edge_index`` is computed, if it is."""
    value = getattr(store._mapping, "data", {}).get("edge_index")
    return value.pairs if isinstance(value, _Computed) else None
