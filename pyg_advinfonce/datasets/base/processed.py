"""Processed graphs and their cache, which holds tensors and no pickled objects."""

import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.datasets.base.description import (
    Summary,
    content_hash,
    fingerprint_text,
    graph_summary,
)
from pyg_advinfonce.datasets.base.split_files import IdList, SplitPairs
from pyg_advinfonce.errors import DataError, DataWarning, counted
from pyg_advinfonce.files import whole_file
from pyg_advinfonce.graph import (
    ITEM,
    SEEN,
    USER,
    InputIds,
    build_graph,
    num_nodes,
    split_ends,
    split_names,
)

FORMAT_VERSION = 5


@dataclass(frozen=True)
class Processed:
    """A user-item graph with its summary and content hash.

    Args:
        graph: The user-item graph.
        summary: Its counts.
        digest: Hash of its content.
        notes: Warnings about the data, repeated at every load.
    """

    graph: HeteroData
    summary: Summary
    digest: str
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, graph: HeteroData, duplicates: dict[str, int]) -> "Processed":
        """Compute summary and hash.

        Args:
            graph: The user-item graph.
            duplicates: Number of merged pairs by split or table.
        """
        return cls(graph, graph_summary(graph, duplicates), content_hash(graph))


class ProcessedDataset:
    """A data set of one graph; a subclass sets ``processed`` and ``label``."""

    processed: Processed
    label: str
    in_memory: bool = False  # True if no name or path leads to the data
    place: Path | None = None  # the absolute path of its table or folder, if any

    @property
    def graph(self) -> HeteroData:
        """The user-item graph."""
        return self.processed.graph

    @property
    def fingerprint(self) -> str:
        """One line of counts and the first 12 digits of the content's sha256."""
        return fingerprint_text(self.graph, self.label, self.processed.digest)

    def summary(self) -> Summary:
        """Return counts of users, items, pairs, overlaps and duplicates."""
        return self.processed.summary.copy()

    def warn_of_overlaps(self, known: Mapping[str, int] = {}) -> None:
        """Warn about pairs that two splits share, unless their number is known."""
        for splits, count in self.processed.summary["overlaps"].items():
            if count not in (0, known.get(splits)):
                one, other = splits.split("/")
                warnings.warn(
                    f"{self.label}: {_also(count, one)} also in {other}",
                    DataWarning,
                    stacklevel=4,
                )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.fingerprint})"


def default_cache_dir() -> Path:
    """Return the folder of this library in the user's cache folder."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        base = Path("~/.cache").expanduser()
    return base / "pyg_advinfonce"


def load_or_build(
    cache_dir: Path | None, key: str | None, build: Callable[[], Processed]
) -> Processed:
    """Return the cached data of a key, or build and cache it; repeat its notes.

    Args:
        cache_dir: Folder of the cache (default: the user's cache folder).
        key: Hash of everything that the data is made from; None disables the cache.
        build: Returns the data if it is not cached.
    """
    folder = None if key is None else cache_dir or _user_folder()
    if folder is None or key is None:
        found = noted(build)
    else:
        path = folder / f"{key[:32]}.pt"
        cached = load_cached(path, key)
        found = cached or noted(build)
        if cached is None:
            save_cached(path, key, found)
    for note in found.notes:
        warnings.warn(note, DataWarning, stacklevel=4)
    return found


def noted(build: Callable[[], Processed]) -> Processed:
    """Build data and store its data warnings as notes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        built = build()
    notes = []
    for warning in caught:
        if issubclass(warning.category, DataWarning):
            notes.append(str(warning.message))
        else:
            warnings.warn(warning.message, warning.category, stacklevel=4)
    return replace(built, notes=tuple(dict.fromkeys(notes)))


def _user_folder() -> Path | None:
    try:
        return default_cache_dir()
    except RuntimeError as error:
        message = f"cache folder not found ({error}): set --cache-dir"
        warnings.warn(message, DataWarning, stacklevel=5)
        return None


def load_cached(path: Path, key: str) -> Processed | None:
    """Return the cached data, or None if it does not exist or cannot be used.

    Pickled objects are rejected, so a foreign file cannot run code. A damaged file, or
    one of another version, raises a warning.
    """
    if not path.is_file():
        return None
    try:
        return _unpack(_read(path), key)
    except Exception as error:  # a damaged file can fail in any way
        reason = str(error).splitlines()[0][:80] if str(error) else repr(error)
        warnings.warn(
            f"{path}: cached data is damaged or outdated and is rebuilt ({reason})",
            DataWarning,
            stacklevel=4,
        )
        return None


def _read(path: Path) -> dict[str, object]:
    with warnings.catch_warnings():  # torch's on foreign files: ours says more
        warnings.simplefilter("ignore")
        payload = torch.load(path, map_location="cpu", weights_only=True)
    return cast("dict[str, object]", payload)


def save_cached(path: Path, key: str, processed: Processed) -> None:
    """Write data to the cache; warn if the folder cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as unfinished:
            torch.save(_pack(processed, key), unfinished)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        warnings.warn(
            f"{path.parent}: processed data cannot be cached ({reason}); set another "
            "folder with --cache-dir",
            DataWarning,
            stacklevel=4,
        )


def _pack(processed: Processed, key: str) -> dict[str, object]:
    graph = processed.graph
    num_users, num_items = num_nodes(graph)
    return {
        "format": FORMAT_VERSION,
        "key": key,
        "num_users": num_users,
        "num_items": num_items,
        "pairs": {n: _int_pairs(graph, n) for n in _all_splits(graph)},
        "seen": graph[SEEN].edge_label_index.int()
        if SEEN in graph.edge_types
        else None,
        "candidate_mask": graph[ITEM].get("candidate_mask"),
        "user_ids": graph[USER].get("raw_id"),
        "item_ids": graph[ITEM].get("raw_id"),
        "summary": processed.summary,
        "digest": processed.digest,
        "notes": list(processed.notes),
        "rest": _rest_hash(graph, processed.summary, processed.notes),
    }


def _int_pairs(graph: HeteroData, name: str) -> Tensor:
    return torch.stack([end.int() for end in split_ends(graph, name)])


def _rest_hash(graph: HeteroData, summary: object, notes: Sequence[str]) -> str:
    """Return the sha256 of what the content hash does not cover."""
    digest = sha256(json.dumps([summary, list(notes)], sort_keys=True).encode())
    for node_type in (USER, ITEM):
        ids = graph[node_type].get("raw_id")
        is_list = isinstance(ids, list)
        digest.update(json.dumps(ids).encode() if is_list else _bytes(ids))
    seen = graph[SEEN].edge_label_index if SEEN in graph.edge_types else None
    digest.update(_bytes(seen))
    return digest.hexdigest()


def _bytes(tensor: Tensor | None) -> bytes:
    return b"" if tensor is None else tensor.contiguous().numpy().tobytes()


def _all_splits(graph: HeteroData) -> list[str]:
    return ["train", *split_names(graph)]


def _unpack(payload: dict[str, object], key: str) -> Processed:
    if payload["format"] != FORMAT_VERSION or payload["key"] != key:
        raise DataError(f"expected format {FORMAT_VERSION}, got {payload['format']}")
    pairs = dict(cast("dict[str, Tensor]", payload["pairs"]))
    graph = build_graph(
        pairs.pop("train"),
        num_users=cast("int", payload["num_users"]),
        num_items=cast("int", payload["num_items"]),
        splits=pairs,
        seen=cast("Tensor | None", payload["seen"]),
        candidate_mask=cast("Tensor | None", payload["candidate_mask"]),
        user_ids=cast("InputIds | None", payload["user_ids"]),
        item_ids=cast("InputIds | None", payload["item_ids"]),
    )
    digest = content_hash(graph)
    summary, notes = payload["summary"], cast("list[str]", payload["notes"])
    rest = _rest_hash(graph, summary, notes)
    if (digest, rest) != (payload["digest"], payload["rest"]):
        raise DataError("content hash differs")
    return Processed(graph, cast("Summary", summary), digest, tuple(notes))


def _also(number: int, split: str) -> str:
    return counted(number, f"pair of {split} is", f"pairs of {split} are")


def process(raw: SplitPairs) -> Processed:
    """Build the graph of splits; without train it has no edges.

    Raises:
        GraphError: If an index is out of range.
    """
    splits = {name: torch.from_numpy(pairs) for name, pairs in raw.pairs.items()}
    mask = raw.candidate_mask
    graph = build_graph(
        splits.pop("train", torch.zeros(2, 0, dtype=torch.long)),
        num_users=raw.num_users,
        num_items=raw.num_items,
        splits=splits,
        seen=torch.from_numpy(raw.seen),
        candidate_mask=None if mask is None else torch.from_numpy(mask),
        user_ids=_as_raw_id(raw.user_ids),
        item_ids=_as_raw_id(raw.item_ids),
    )
    return Processed.of(graph, raw.duplicates)


def _as_raw_id(ids: IdList | None) -> InputIds | None:
    return torch.from_numpy(ids) if isinstance(ids, np.ndarray) else ids
