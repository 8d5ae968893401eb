"""Splits of published data sets made from their owners' files."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pyg_advinfonce.datasets.base import IntArray, SplitPairs, take_ids
from pyg_advinfonce.datasets.splits import (
    Interactions,
    SplitOptions,
    compact_ids,
    divide,
    seen_beside,
)
from pyg_advinfonce.datasets.tables import (
    Columns,
    Condition,
    DelimitedTable,
    TableOptions,
    find_columns,
    open_table,
    read_logs,
)
from pyg_advinfonce.errors import DataError
from pyg_advinfonce.files import reading, regular_file

VALID_FRACTION = 0.3

COAT_FILES = ("train.ascii", "test.ascii")
_COAT_POSITIVE = 4
_COAT_MAX_RATING = 5
_COAT_MAX_BYTES = 64 * 2**20

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
    """Owners' files of a published data set, and its splits made from them.

    Args:
        files: Names of the files.
        build: Returns the splits, given the files' paths by name and a seed.
    """

    files: tuple[str, ...]
    build: Callable[[Mapping[str, Path], int], SplitPairs]


def build_coat(files: Mapping[str, Path], seed: int) -> SplitPairs:
    """Split Coat as in the AdvInfoNCE paper (docs/methods.md 6.2).

    Ratings of 4 and 5 are positive. Users selected the coats of ``train.ascii``; those
    of ``test.ascii`` were shown at random. Positive ratings of the first file become
    train and valid pairs, those of the second become test pairs. Users and items
    without a positive in ``train.ascii`` are dropped. Raw ids are rows and columns of
    the matrices, counted from 0.

    Args:
        files: Paths of ``train.ascii`` and ``test.ascii``.
        seed: Seed of the random valid pairs.

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
    splits = {"train": train, "valid": valid, "test": test}
    rated = (chosen + shown)[np.ix_(users, items)] > 0
    return SplitPairs(
        len(users),
        len(items),
        splits,
        {},
        user_ids=users,
        item_ids=items,
        seen=seen_beside(splits, np.stack(np.nonzero(rated))),
    )


def _positive_pairs(matrix: IntArray, users: IntArray, items: IntArray) -> IntArray:
    is_positive = matrix[np.ix_(users, items)] >= _COAT_POSITIVE
    return np.stack(np.nonzero(is_positive))  # [2, E]


def _read_matrix(path: Path) -> IntArray:
    """Read whitespace-separated integers, equally many per line."""
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
    regular_file(path, _COAT_MAX_BYTES)
    with reading(path):
        text = path.read_bytes().decode("ascii", errors="replace")
    lines = enumerate(re.split(r"\r\n|\r|\n", text), start=1)
    return [(number, line) for number, line in lines if line.strip(" \t")]


def _rating(word: str, path: Path, line: int, column: int) -> int:
    if not re.fullmatch(f"[0-{_COAT_MAX_RATING}]", word):
        raise DataError(
            f"{path}:{line}:{column}: expected a rating from 1 to "
            f"{_COAT_MAX_RATING}, or 0 if not rated, got {word[:40]!r}"
        )
    return int(word)


def build_yahoo(files: Mapping[str, Path], seed: int) -> SplitPairs:
    """Split Yahoo!R3 as in the AdvInfoNCE paper (docs/methods.md 6.2).

    Ratings of 4 and 5 are positive. Users selected the songs of the train file; those
    of the test file were random. Positive ratings of the train file become train and
    valid pairs, those of the test file become test pairs. Users without a positive in
    the train file are dropped; songs are all kept.

    Args:
        files: Paths of the two files, tab-separated ``user song rating``.
        seed: Seed of the random valid pairs.

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
    splits = {"train": train, "valid": valid, "test": shown}
    pairs = {name: _compact_users(found, users) for name, found in splits.items()}
    known = logs.known[:, np.isin(logs.known[0], users)]
    return SplitPairs(
        len(users),
        len(logs.item_ids),
        pairs,
        {"train": selected.duplicates, "test": test.duplicates},
        user_ids=take_ids(logs.user_ids, users),
        item_ids=logs.item_ids,
        seen=seen_beside(pairs, _compact_users(known, users)),
    )


def _compact_users(pairs: IntArray, users: IntArray) -> IntArray:
    return np.stack([np.searchsorted(users, pairs[0]), pairs[1]])


def split_self_selected(
    pairs: IntArray, rng: np.random.Generator, *, keeps_items: bool
) -> tuple[IntArray, IntArray]:
    """Split pairs 70:30 at random into train and valid pairs.

    The valid pairs of a user without a train pair become train pairs; with
    ``keeps_items``, so do the valid pairs of an item without a train pair. The
    published splits follow this rule (docs/methods.md 6.2); their seed is unknown.

    Args:
        pairs: Distinct pairs ``[2, E]``.
        rng: Random generator.
        keeps_items: Whether every item also keeps a train pair.
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
    """Split KuaiRec as in the AdvInfoNCE paper (docs/methods.md 6.2).

    A pair is positive if the user watched the video for more than twice its length in
    any view. Positives of the big matrix are train. Of the positives of the small
    matrix, in which every pair is observed, a random third is valid and the rest test.
    Only videos of the small matrix are candidates.

    The files are read in chunks and only three columns are read: the small matrix
    lacks the times of some rows.

    Args:
        files: Paths of ``big_matrix.csv`` and ``small_matrix.csv``.
        seed: Seed of the random valid pairs.

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
            f"{files[KUAIREC_SMALL]}:1: expected at least two positive pairs"
        )
    is_valid = np.zeros(number, dtype=np.bool_)
    chosen = np.random.default_rng(seed).permutation(number)
    is_valid[chosen[: max(1, round(number / 3))]] = True
    mask = np.zeros(len(logs.item_ids), dtype=np.bool_)  # [I]
    mask[logs.tables[KUAIREC_SMALL].items] = True
    pairs = {
        "train": train.pairs,
        "valid": unbiased.pairs[:, is_valid],
        "test": unbiased.pairs[:, ~is_valid],
    }
    return SplitPairs(
        len(logs.user_ids),
        len(logs.item_ids),
        pairs,
        {"train": train.duplicates, "test": unbiased.duplicates},
        candidate_mask=mask,
        user_ids=logs.user_ids,
        item_ids=logs.item_ids,
        seen=seen_beside(pairs, logs.known),
    )


def _open_matrix(path: Path) -> DelimitedTable:
    table = DelimitedTable(path)
    for name in (
        _KUAIREC_COLUMNS.user,
        _KUAIREC_COLUMNS.item,
        *_KUAIREC_COLUMNS.numbers,
    ):
        if name not in table.names:
            raise DataError(f"{path}:1: column '{name}' not found")
    return table


def build_movielens(
    files: Mapping[str, Path],
    seed: int,
    *,
    columns: str | None = None,
    format: str | None = None,
) -> SplitPairs:
    """Split ratings of MovieLens at random, 80:10:10.

    Positives are those of the paper on Mult-VAE (Liang et al., WWW 2018): ratings from
    4 on, of users with at least five of them. The split is this library's; every user
    keeps a train pair.

    Args:
        files: Path of the ratings.
        seed: Seed of the split.
        columns: Names of the columns of a text without a header.
        format: ``movielens`` for a text separated by ``::``.

    Raises:
        DataError: If the file is malformed; the message says where.
    """
    options = TableOptions(
        positive_if="rating >= 4", columns=columns, format=format, min_user=5
    )
    ((name, path),) = files.items()
    table = open_table(path, options)
    found = find_columns(path, table.names, options, needs_time=False)
    logs = read_logs({name: (table, found)})
    log = Interactions.of(logs.tables[name])
    splits = divide(log.core(options.min_user, 1), SplitOptions(seed=seed))
    duplicates = {name: log.duplicates}
    return compact_ids(splits, logs.user_ids, logs.item_ids, duplicates, logs.known)


SOURCES: Mapping[str, Source] = {
    "coat": Source(COAT_FILES, build_coat),
    "yahoo": Source(YAHOO_FILES, build_yahoo),
    "kuairec": Source(KUAIREC_FILES, build_kuairec),
    "ml-100k": Source(
        ("u.data",), partial(build_movielens, columns="user,item,rating,time")
    ),
    "ml-1m": Source(("ratings.dat",), partial(build_movielens, format="movielens")),
    "ml-20m": Source(("ratings.csv",), build_movielens),
}
