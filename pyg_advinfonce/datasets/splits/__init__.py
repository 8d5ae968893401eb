"""Splits of interactions."""

from pyg_advinfonce.datasets.splits.divide import (
    OVERLAPS,
    Interactions,
    compact_ids,
    divide,
    resolve_overlaps,
    seen_beside,
    split_off_valid,
    without_cold_users,
)
from pyg_advinfonce.datasets.splits.options import TIMED, SplitOptions, parse_gammas
from pyg_advinfonce.datasets.splits.popularity_shift import popularity_shift
from pyg_advinfonce.datasets.splits.write import (
    SplitFolder,
    SplitSpec,
    make_split_folder,
    read_manifest,
)

__all__ = [
    "OVERLAPS",
    "TIMED",
    "Interactions",
    "SplitFolder",
    "SplitOptions",
    "SplitSpec",
    "compact_ids",
    "divide",
    "make_split_folder",
    "parse_gammas",
    "popularity_shift",
    "read_manifest",
    "resolve_overlaps",
    "seen_beside",
    "split_off_valid",
    "without_cold_users",
]
