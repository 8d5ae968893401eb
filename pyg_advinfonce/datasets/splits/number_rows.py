"""Rows for the users and items that some split has, and for no other."""

from collections.abc import Mapping

import numpy as np

from pyg_advinfonce.datasets.id_text import IdList
from pyg_advinfonce.datasets.pair_text import Ids
from pyg_advinfonce.datasets.split_files import SplitPairs


def number_rows(
    splits: Mapping[str, Ids],
    user_ids: IdList,
    item_ids: IdList,
    duplicates: Mapping[str, int],
) -> SplitPairs:
    """Leave out users and items without any pair; the order of the others stays.

    Args:
        splits: Pairs ``[2, E]`` by split.
        user_ids: The users' raw ids, by their old rows.
        item_ids: The items' raw ids, by their old rows.
        duplicates: How many repeated pairs each split had.
    """
    users, user_row = _used([pairs[0] for pairs in splits.values()], len(user_ids))
    items, item_row = _used([pairs[1] for pairs in splits.values()], len(item_ids))
    return SplitPairs(
        len(users),
        len(items),
        {n: np.stack([user_row[p[0]], item_row[p[1]]]) for n, p in splits.items()},
        dict(duplicates),
        user_ids=_take(user_ids, users),
        item_ids=_take(item_ids, items),
    )


def _used(columns: list[Ids], number: int) -> tuple[Ids, Ids]:
    """Return the old rows that are used, and the new row of each old one."""
    there = np.zeros(number, dtype=np.bool_)
    for column in columns:
        there[column] = True
    return np.flatnonzero(there), np.cumsum(there) - 1


def _take(ids: IdList, rows: Ids) -> IdList:
    return ids[rows] if isinstance(ids, np.ndarray) else [ids[row] for row in rows]
