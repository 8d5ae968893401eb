"""KuaiRec from the two matrices of watch ratios that its owners publish."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pyg_advinfonce.datasets.split_files import SplitPairs
from pyg_advinfonce.datasets.splits.interactions import Interactions
from pyg_advinfonce.datasets.tables.columns import Columns
from pyg_advinfonce.datasets.tables.condition import Condition
from pyg_advinfonce.datasets.tables.delimited import DelimitedTable
from pyg_advinfonce.datasets.tables.logs import read_logs
from pyg_advinfonce.errors import DataError

BIG, SMALL = "big_matrix.csv", "small_matrix.csv"
FILES = (BIG, SMALL)
_COLUMNS = Columns("user_id", "video_id", None, Condition.parse("watch_ratio > 2"))


def build_kuairec(files: Mapping[str, Path], seed: int) -> SplitPairs:
    """Make splits of KuaiRec as for the AdvInfoNCE paper (methods.md 6.2).

    A video that was watched for more than twice its length, in any view, is a
    positive. Those of the big matrix are train; of those of the small one, in which
    every pair was seen, a random third is valid and the rest test. Only its videos may
    be ranked.

    The files are read in pieces, and of their columns only the three that are needed:
    the small matrix lacks the times of some rows.

    Args:
        files: The paths of ``big_matrix.csv`` and ``small_matrix.csv``.
        seed: Decides which pairs are valid.

    Raises:
        DataError: If a file is malformed; the message says where.
    """
    tables = {name: _open(files[name]) for name in FILES}
    logs = read_logs({name: (table, _COLUMNS) for name, table in tables.items()})
    train, unbiased = (Interactions.of(logs.tables[name]) for name in FILES)
    number = unbiased.pairs.shape[1]
    if number < 2:
        raise DataError(f"{files[SMALL]}:1: expected two positive pairs at least")
    is_valid = np.zeros(number, dtype=np.bool_)
    chosen = np.random.default_rng(seed).permutation(number)
    is_valid[chosen[: max(1, round(number / 3))]] = True
    mask = np.zeros(len(logs.item_ids), dtype=np.bool_)  # [I]
    mask[logs.tables[SMALL].items] = True
    return SplitPairs(
        len(logs.user_ids),
        len(logs.item_ids),
        {
            "train": train.pairs,
            "valid": unbiased.pairs[:, is_valid],
            "test": unbiased.pairs[:, ~is_valid],
        },
        {"train": train.duplicates, "test": unbiased.duplicates},
        candidate_mask=mask,
        user_ids=logs.user_ids,
        item_ids=logs.item_ids,
    )


def _open(path: Path) -> DelimitedTable:
    table = DelimitedTable(path)
    for name in (_COLUMNS.user, _COLUMNS.item, *_COLUMNS.numbers):
        if name not in table.names:
            raise DataError(f"{path}:1: expected the column '{name}', found none")
    return table
