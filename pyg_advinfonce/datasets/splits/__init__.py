"""Dividing interactions into splits."""

from pyg_advinfonce.datasets.splits.divide import (
    OVERLAPS,
    Interactions,
    divide,
    number_rows,
    resolve_overlaps,
    split_off_valid,
    without_cold_users,
)
from pyg_advinfonce.datasets.splits.options import TIMED, SplitOptions, parse_gammas
from pyg_advinfonce.datasets.splits.popularity_shift import popularity_shift
from pyg_advinfonce.datasets.splits.write import Recipe, SplitFolder, make_split_folder

__all__ = [
    "OVERLAPS",
    "TIMED",
    "Interactions",
    "Recipe",
    "SplitFolder",
    "SplitOptions",
    "divide",
    "make_split_folder",
    "number_rows",
    "parse_gammas",
    "popularity_shift",
    "resolve_overlaps",
    "split_off_valid",
    "without_cold_users",
]
