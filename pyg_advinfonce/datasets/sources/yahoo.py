"""Yahoo!R3 from the two files of ratings that Yahoo! Webscope gives out."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pyg_advinfonce.datasets.id_text import IdList
from pyg_advinfonce.datasets.pair_text import Ids
from pyg_advinfonce.datasets.sources.self_selected import split_self_selected
from pyg_advinfonce.datasets.split_files import SplitPairs
from pyg_advinfonce.datasets.splits.interactions import Interactions
from pyg_advinfonce.datasets.tables.columns import Columns
from pyg_advinfonce.datasets.tables.condition import Condition
from pyg_advinfonce.datasets.tables.delimited import DelimitedTable
from pyg_advinfonce.datasets.tables.logs import read_logs
from pyg_advinfonce.errors import DataError

TRAIN = "ydata-ymusic-rating-study-v1_0-train.txt"
TEST = "ydata-ymusic-rating-study-v1_0-test.txt"
FILES = (TRAIN, TEST)
_COLUMNS = Columns("user", "song", None, Condition.parse("rating >= 4"))


def build_yahoo(files: Mapping[str, Path], seed: int) -> SplitPairs:
    """Make splits of Yahoo!R3 as for the AdvInfoNCE paper (methods.md 6.2).

    Ratings of 4 and 5 are positive. Those of the train file, self-chosen, are divided
    into train and valid; those of the test file, of songs drawn at random, are test.
    Users without a positive in the train file are left out, songs never are.

    Args:
        files: The paths of the two files, tab-separated ``user song rating``.
        seed: Decides which pairs are valid.

    Raises:
        DataError: If a file is malformed; the message says where.
    """
    names = ("user", "song", "rating")
    tables = {
        name: (DelimitedTable(files[name], names=names), _COLUMNS) for name in FILES
    }
    logs = read_logs(tables)
    selected, test = (Interactions.of(logs.tables[name]) for name in FILES)
    users = np.unique(selected.pairs[0])
    shown = test.pairs[:, np.isin(test.pairs[0], users)]
    if not shown.size:
        raise DataError(f"{files[TEST]}:1: expected users of {TRAIN}, found none")
    rng = np.random.default_rng(seed)
    train, valid = split_self_selected(selected.pairs, rng, keeps_items=False)
    pairs = {"train": train, "valid": valid, "test": shown}
    return SplitPairs(
        len(users),
        len(logs.item_ids),
        {name: _with_rows(found, users) for name, found in pairs.items()},
        {"train": selected.duplicates, "test": test.duplicates},
        user_ids=_of(logs.user_ids, users),
        item_ids=logs.item_ids,
    )


def _with_rows(pairs: Ids, users: Ids) -> Ids:
    return np.stack([np.searchsorted(users, pairs[0]), pairs[1]])


def _of(ids: IdList, rows: Ids) -> IdList:
    return ids[rows] if isinstance(ids, np.ndarray) else [ids[row] for row in rows]
