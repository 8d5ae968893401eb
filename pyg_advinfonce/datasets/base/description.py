"""Summary and fingerprint of a data set: counts, overlaps and a content hash."""

from hashlib import sha256
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import HeteroData

from pyg_advinfonce.errors import counted
from pyg_advinfonce.graph import (
    ITEM,
    SEEN,
    is_among,
    num_nodes,
    split_ends,
    split_names,
)
from pyg_advinfonce.keys import pair_keys

_BLOCK_ROWS = 2**20


class Summary(TypedDict):
    """Counts of a data set.

    ``overlaps`` counts the pairs that two splits share, ``seen`` the pairs of no split
    that lists leave out.
    """

    users: int
    items: int
    candidate_items: int
    pairs: dict[str, int]
    seen: int
    users_without_train: int
    items_without_train: int
    users_with_all_items: int
    overlaps: dict[str, int]
    duplicates_merged: dict[str, int]


def content_hash(graph: HeteroData) -> str:
    """Return the sha256 of all data that training and evaluation use.

    Seen pairs, which only lists use, do not count.
    """
    digest = sha256(f"{num_nodes(graph)}".encode())
    for name in ["train", *sorted(split_names(graph))]:
        ends = split_ends(graph, name)
        digest.update(f"{name} {len(ends[0])}".encode())
        for block in (part for end in ends for part in end.split(_BLOCK_ROWS)):
            digest.update(block.numpy().astype("<i8").tobytes())
    mask = graph[ITEM].get("candidate_mask")
    if mask is not None:
        digest.update(b"candidate_mask" + mask.numpy().tobytes())
    return digest.hexdigest()


def fingerprint_text(graph: HeteroData, name: str, digest: str) -> str:
    """Return one line of counts and the first 12 digits of the hash."""
    num_users, num_items = num_nodes(graph)
    splits = ", ".join(f"{split} {n:,}" for split, n in count_pairs(graph).items())
    return (
        f"{name}: {counted(num_users, 'user')}, {counted(num_items, 'item')}, "
        f"{splits}, sha256 {digest[:12]}"
    )


def count_pairs(graph: HeteroData) -> dict[str, int]:
    """Return the number of pairs per split, train first."""
    names = ["train", *split_names(graph)]
    return {name: len(split_ends(graph, name)[1]) for name in names}


def graph_summary(graph: HeteroData, duplicates: dict[str, int]) -> Summary:
    """Return the counts of a graph; ``duplicates`` were merged into it."""
    num_users, num_items = num_nodes(graph)
    users, items = map(torch.bincount, split_ends(graph, "train"))
    mask = graph[ITEM].get("candidate_mask")
    return {
        "users": num_users,
        "items": num_items,
        "candidate_items": num_items if mask is None else int(mask.sum()),
        "pairs": count_pairs(graph),
        "seen": graph[SEEN].edge_label_index.size(1) if SEEN in graph.edge_types else 0,
        "users_without_train": num_users - int(users.count_nonzero()),
        "items_without_train": num_items - int(items.count_nonzero()),
        "users_with_all_items": int((users == num_items).sum()),
        "overlaps": _overlaps(graph),
        "duplicates_merged": duplicates,
    }


def _overlaps(graph: HeteroData) -> dict[str, int]:
    """Count the pairs that train, or valid, shares with each later split."""
    keys: dict[str, NDArray[np.int64]] = {
        name: pair_keys(*(end.numpy() for end in split_ends(graph, name)))
        for name in ["train", *split_names(graph)]
    }
    return {
        f"{seen}/{held_out}": int(is_among(keys[held_out], keys[seen]).sum())
        for seen in ("train", "valid")
        for held_out in keys
        if seen in keys and held_out not in ("train", seen)
    }
