"""Recommendation, folding in of new users, and export."""

from pyg_advinfonce.serving.export import export, find_format
from pyg_advinfonce.serving.lists import (
    WRITERS,
    csv_texts,
    json_texts,
    merge_lists,
    save_lists,
)
from pyg_advinfonce.serving.new_users import fold_in
from pyg_advinfonce.serving.recommender import IdMap, Recommender, recommend

__all__ = [
    "WRITERS",
    "IdMap",
    "Recommender",
    "csv_texts",
    "export",
    "find_format",
    "fold_in",
    "json_texts",
    "merge_lists",
    "recommend",
    "save_lists",
]
