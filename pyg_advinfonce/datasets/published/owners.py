"""Splits of Coat, Yahoo!R3 and KuaiRec from their owners' files."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyg_advinfonce.datasets.base import Ids, SplitPairs, take_ids
from pyg_advinfonce.datasets.splits import Interactions
from pyg_advinfonce.datasets.tables import Columns, Condition, DelimitedTable, read_logs
from pyg_advinfonce.errors import DataError
from pyg_advinfonce.files import reading

VALID_FRACTION = 0.3

COAT_FILES = ("train.ascii", "test.ascii")
_COAT_POSITIVE = 4
_COAT_MAX_RATING = 5

YAHOO_TRAIN = "ydata-ymusic-rating-study-v1_0-train.txt"
YAHOO_TEST = "ydata-ymusic-rating-study-v1_0-test.txt"
YAHOO_FILES = (YAHOO_TRAIN, YAHOO_TEST)
_YAHOO_COLUMNS = Columns("user", "song", None, Condition.parse("rating >= 4"))

KUAIREC_BIG, KUAIREC_SMALL = "big_matrix.csv", "small_matrix.csv"
KUAIREC_FILES = (KUAIREC_BIG, KUAIREC_SMALL)
_KUAIREC_COLUMNS = Columns(
    "user_id", "video_id", None, Condition.parse("watch_ratio > 2")
)


@dataclass(frozen=True)
class Source:
    """How a published data set is made from its owners' files.

    Args:
        files: The names of its files.
        build: Makes the splits from the files' paths and a seed.
    """

    files: tuple[str, ...]
    build: Callable[[Mapping[str, Path], int], SplitPairs]


def build_coat(files: Mapping[str, Path], seed: int) -> SplitPairs:
    """Make splits of Coat as for the AdvInfoNCE paper (docs/methods.md 6.2).

    Ratings of 4 and 5 are positive. Those of ``train.ascii``, self-chosen, are divided
    into train and valid; those of ``test.ascii``, of coats shown at random, are test.
    Users and items without a positive in ``train.ascii`` are left out. Raw ids are the
    rows and columns of the matrices, from 0 on.

    Args:
        files: The paths of ``train.ascii`` and ``test.ascii``.
        seed: Decides which pairs are valid.

    Raises:
        DataError: If a matrix is malformed; the message says where.
    """
    chosen, shown = (_read_matrix(files[name]) for name in COAT_FILES)
    if chosen.shape != shown.shape:
        raise DataError(
            f"{files['test.ascii']}:1: expected a matrix of {chosen.shape} as in "
            f"train.ascii, got {shown.shape}"
        )
    users, items = (
        np.flatnonzero((chosen >= _COAT_POSITIVE).any(axis=a)) for a in (1, 0)
    )
    selected, test = (
        _positive_pairs(matrix, users, items) for matrix in (chosen, shown)
    )
    for pairs, name in ((selected, "train.ascii"), (test, "test.ascii")):
        if not pairs.size:
            raise DataError(f"{files[name]}:1: expected ratings of 4 or 5, found none")
    rng = np.random.default_rng(seed)
    train, valid = split_self_selected(selected, rng, keeps_items=True)
    return SplitPairs(
        len(users),
        len(items),
        {"train": train, "valid": valid, "test": test},
        {},
        user_ids=users,
        item_ids=items,
    )


def _positive_pairs(matrix: Ids, users: Ids, items: Ids) -> Ids:
    is_positive = matrix[np.ix_(users, items)] >= _COAT_POSITIVE
    return np.stack(np.nonzero(is_positive))  # [2, E]


def _read_matrix(path: Path) -> Ids:
    """Read integers between blanks; every line has as many as the first."""
    rows: list[list[int]] = []
    for number, line in _lines(path):
        row = [_rating(word, path, number, c) for c, word in enumerate(line.split(), 1)]
        if rows and len(row) != len(rows[0]):
            raise DataError(
                f"{path}:{number}: expected {len(rows[0])} ratings, got {len(row)}"
            )
        rows.append(row)
    if not rows:
        raise DataError(f"{path}:1: expected a matrix of ratings, found none")
    return np.array(rows, dtype=np.int64)


def _lines(path: Path) -> list[tuple[int, str]]:
    with reading(path):
        text = path.read_bytes().decode("ascii", errors="replace")
    lines = enumerate(re.split(r"\r\n|\r|\n", text), start=1)
    return [(number, line) for number, line in lines if line.strip(" \t")]


def _rating(word: str, path: Path, line: int, column: int) -> int:
    if not re.fullmatch(f"[0-{_COAT_MAX_RATING}]", word):
        raise DataError(
            f"{path}:{line}:{column}: expected a rating from 1 to "
            f"{_COAT_MAX_RATING}, or 0 for none, got {word[:40]!r}"
        )
    return int(word)


def build_yahoo(files: Mapping[str, Path], seed: int) -> SplitPairs:
    """Make splits of Yahoo!R3 as for the AdvInfoNCE paper (docs/methods.md 6.2).

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
        name: (DelimitedTable(files[name], names=names), _YAHOO_COLUMNS)
        for name in YAHOO_FILES
    }
    logs = read_logs(tables)
    selected, test = (Interactions.of(logs.tables[name]) for name in YAHOO_FILES)
    users = np.unique(selected.pairs[0])
    shown = test.pairs[:, np.isin(test.pairs[0], users)]
    if not shown.size:
        raise DataError(
            f"{files[YAHOO_TEST]}:1: expected users of {YAHOO_TRAIN}, found none"
        )
    rng = np.random.default_rng(seed)
    train, valid = split_self_selected(selected.pairs, rng, keeps_items=False)
    pairs = {"train": train, "valid": valid, "test": shown}
    return SplitPairs(
        len(users),
        len(logs.item_ids),
        {name: _with_rows(found, users) for name, found in pairs.items()},
        {"train": selected.duplicates, "test": test.duplicates},
        user_ids=take_ids(logs.user_ids, users),
        item_ids=logs.item_ids,
    )


def _with_rows(pairs: Ids, users: Ids) -> Ids:
    return np.stack([np.searchsorted(users, pairs[0]), pairs[1]])


def split_self_selected(
    pairs: Ids, rng: np.random.Generator, *, keeps_items: bool
) -> tuple[Ids, Ids]:
    """Divide pairs 70:30 at random into train and valid pairs.

    A user left without a train pair gets all its valid pairs back, and so does an item
    where ``keeps_items`` says so. The published splits show this rule
    (docs/methods.md 6.2); their seed is not known.

    Args:
        pairs: Distinct pairs ``[2, E]``.
        rng: Draws.
        keeps_items: Whether every item keeps a train pair, too.
    """
    is_valid = np.zeros(pairs.shape[1], dtype=np.bool_)
    number = round(VALID_FRACTION * pairs.shape[1])
    is_valid[rng.permutation(pairs.shape[1])[:number]] = True
    for ends in pairs if keeps_items else pairs[:1]:
        has_train = np.zeros(int(ends.max()) + 1, dtype=np.bool_)
        has_train[ends[~is_valid]] = True
        is_valid &= has_train[ends]
    return pairs[:, ~is_valid], pairs[:, is_valid]


def build_kuairec(files: Mapping[str, Path], seed: int) -> SplitPairs:
    """Make splits of KuaiRec as for the AdvInfoNCE paper (docs/methods.md 6.2).

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
    tables = {name: _open_matrix(files[name]) for name in KUAIREC_FILES}
    logs = read_logs(
        {name: (table, _KUAIREC_COLUMNS) for name, table in tables.items()}
    )
    train, unbiased = (Interactions.of(logs.tables[name]) for name in KUAIREC_FILES)
    number = unbiased.pairs.shape[1]
    if number < 2:
        raise DataError(
            f"{files[KUAIREC_SMALL]}:1: expected two positive pairs at least"
        )
    is_valid = np.zeros(number, dtype=np.bool_)
    chosen = np.random.default_rng(seed).permutation(number)
    is_valid[chosen[: max(1, round(number / 3))]] = True
    mask = np.zeros(len(logs.item_ids), dtype=np.bool_)  # [I]
    mask[logs.tables[KUAIREC_SMALL].items] = True
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


def _open_matrix(path: Path) -> DelimitedTable:
    table = DelimitedTable(path)
    for name in (
        _KUAIREC_COLUMNS.user,
        _KUAIREC_COLUMNS.item,
        *_KUAIREC_COLUMNS.numbers,
    ):
        if name not in table.names:
            raise DataError(f"{path}:1: expected the column '{name}', found none")
    return table


SOURCES: Mapping[str, Source] = {
    "coat": Source(COAT_FILES, build_coat),
    "yahoo": Source(YAHOO_FILES, build_yahoo),
    "kuairec": Source(KUAIREC_FILES, build_kuairec),
}
