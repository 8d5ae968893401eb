"""Profile of a data set: counts, overlaps and degrees per split."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pandas as pd
from torch_geometric.data import HeteroData

from pyg_advinfonce.datasets.base import (
    FORMATS,
    IntArray,
    Processed,
    fingerprint_text,
    is_table,
    parse_files,
    process,
    read_files,
)
from pyg_advinfonce.datasets.load import holds_tables, load_dataset
from pyg_advinfonce.datasets.published import RawFolder, known_set, recognise
from pyg_advinfonce.datasets.table import is_one_table, whole_table
from pyg_advinfonce.datasets.tables import TableOptions
from pyg_advinfonce.graph import num_nodes, split_edges
from pyg_advinfonce.registry import data_root
from pyg_advinfonce.schema import check_options

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class SplitProfile(TypedDict):
    """Statistics of one split.

    ``user_degrees`` and ``item_degrees`` describe the numbers of pairs of the users and
    items in the split: count, mean, min, quantiles and max. ``cold_users`` and
    ``cold_items`` count the users and items in the split that have no train pair; they
    are None without a train split.
    """

    pairs: int
    density: float
    user_degrees: dict[str, float]
    item_degrees: dict[str, float]
    cold_users: int | None
    cold_items: int | None
    duplicates_merged: int


def split_profile(graph: HeteroData, name: str, duplicates: int) -> SplitProfile:
    """Return the statistics of a split; ``duplicates`` were merged before."""
    pairs, train = (split_edges(graph, s).numpy() for s in (name, "train"))
    cold = [
        len(np.setdiff1d(ends, known)) if train.size else None
        for ends, known in zip(pairs, train, strict=True)
    ]
    num_users, num_items = num_nodes(graph)
    return {
        "pairs": pairs.shape[1],
        "density": pairs.shape[1] / (num_users * num_items),
        "user_degrees": _degrees(pairs[0]),
        "item_degrees": _degrees(pairs[1]),
        "cold_users": cold[0],
        "cold_items": cold[1],
        "duplicates_merged": duplicates,
    }


def _degrees(ends: IntArray) -> dict[str, float]:
    """Describe the number of pairs per user or item.

    Args:
        ends: ``[E]`` the user of each pair, or the item of each pair.
    """
    counts = pd.Series(ends).value_counts().describe(percentiles=list(QUANTILES))
    return {str(name): float(value) for name, value in counts.drop("std").items()}


class Profile(TypedDict):
    """Statistics of a data set; ``licence`` is None if unknown.

    The only split of one table is ``all``, and its numbers of users and items without
    train are None. ``overlaps`` counts the pairs that two splits share.
    ``duplicates_merged`` counts repeated pairs; a table is counted before it is split.
    """

    data: str
    folder: str | None
    fingerprint: str
    sha256: str
    licence: str | None
    users: int
    items: int
    candidate_items: int
    splits: dict[str, SplitProfile]
    seen: int
    users_without_train: int | None
    items_without_train: int | None
    users_with_all_items: int | None
    overlaps: dict[str, int]
    duplicates_merged: int


def profile(
    data: str,
    root: Path | str | None = None,
    **options: Any,  # noqa: ANN401
) -> Profile:
    """Return the statistics of a data set, whose files may be incomplete.

    Args:
        data: Name, simulation, folder or table, as in
            :func:`~pyg_advinfonce.datasets.load_dataset`.
        root: As for the same function.
        **options: Options of the data set's class, e.g. ``format``, or ``user_col`` of
            a table.

    Raises:
        UnknownNameError: If ``data`` is neither a name nor a folder nor a table.
        DatasetNotFoundError: If the folder has no split file.
        DataError: If a file is malformed.
    """
    if data.partition(":")[0] == "simulated":
        made = load_dataset(data, **options).processed
        return _profile(made, data, folder=None, licence="none: simulated data")
    if is_table(data):
        return _table_profile(Path(data), options, folder=None)
    place = RawFolder.named(data, data_root(root))
    whole, known = place.root / place.name, place.published
    is_tables = known is None and whole.is_dir() and holds_tables(whole)
    folder = whole if is_tables else place.find()
    form = options.get("format") or "auto"
    is_converted = known is not None and known.is_converted
    others = options.keys() - {"format"}
    if is_tables and is_one_table(whole):
        return _table_profile(whole, options, folder=str(whole))
    if is_tables or is_converted or form not in FORMATS or others:
        found = load_dataset(data, root=root, **options).processed
        licence = None if known is None else str(known.licence)
        return _profile(found, place.name, folder=str(folder), licence=licence)
    files = read_files(folder)
    raw = parse_files(
        files,
        num_users=known.num_users if known else None,
        num_items=known.num_items if known else None,
        format=str(form),
    )
    name = recognise(files)
    origin = known if name is None else known_set(name)
    licence = str(origin.licence) if origin else None
    return _profile(process(raw), place.name, folder=str(folder), licence=licence)


WHOLE = "all"
"""The only split of the profile of a table that is not split yet."""


def _table_profile(
    path: Path, options: Mapping[str, Any], *, folder: str | None
) -> Profile:
    """Return the profile of one table, of its splits only if a split is asked for."""
    known = {field.name for field in fields(TableOptions)}
    if not options.keys() <= known:
        found = load_dataset(str(path), **options).processed
        return _profile(found, path.name, folder=folder, licence=None)
    check_options("data", [TableOptions], options)
    pairs = process(whole_table(path, TableOptions(**options)))
    profile = _profile(pairs, path.name, folder=folder, licence=None)
    profile["splits"] = {WHOLE: profile["splits"]["train"]}
    profile["users_without_train"] = profile["items_without_train"] = None
    return profile


def _profile(
    processed: Processed, name: str, *, folder: str | None, licence: str | None
) -> Profile:
    graph, summary, digest = processed.graph, processed.summary, processed.digest
    has_train = summary["pairs"]["train"] > 0
    merged = summary["duplicates_merged"]
    return {
        "data": name,
        "folder": folder,
        "fingerprint": fingerprint_text(graph, name, digest),
        "sha256": digest,
        "licence": licence,
        "users": summary["users"],
        "items": summary["items"],
        "candidate_items": summary["candidate_items"],
        "splits": {
            split: split_profile(graph, split, merged.get(split, 0))
            for split, number in summary["pairs"].items()
            if number
        },
        "seen": summary["seen"],
        "users_without_train": summary["users_without_train"] if has_train else None,
        "items_without_train": summary["items_without_train"] if has_train else None,
        "users_with_all_items": summary["users_with_all_items"] if has_train else None,
        "overlaps": {
            splits: count
            for splits, count in summary["overlaps"].items()
            if has_train or not splits.startswith("train/")
        },
        "duplicates_merged": sum(merged.values()),
    }
