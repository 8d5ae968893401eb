"""Coat from the two matrices that its owners publish."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pyg_advinfonce.datasets.pair_text import Ids
from pyg_advinfonce.datasets.sources.self_selected import split_self_selected
from pyg_advinfonce.datasets.split_files import SplitPairs
from pyg_advinfonce.errors import DataError

FILES = ("train.ascii", "test.ascii")
POSITIVE = 4
_MAX_RATING = 5


def build_coat(files: Mapping[str, Path], seed: int) -> SplitPairs:
    """Make splits of Coat as for the AdvInfoNCE paper (methods.md 6.2).

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
    chosen, shown = (_read_matrix(files[name]) for name in FILES)
    if chosen.shape != shown.shape:
        raise DataError(
            f"{files['test.ascii']}:1: expected a matrix of {chosen.shape} as in "
            f"train.ascii, got {shown.shape}"
        )
    users, items = (np.flatnonzero((chosen >= POSITIVE).any(axis=a)) for a in (1, 0))
    selected, test = (_positive(matrix, users, items) for matrix in (chosen, shown))
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


def _positive(matrix: Ids, users: Ids, items: Ids) -> Ids:
    return np.stack(np.nonzero(matrix[np.ix_(users, items)] >= POSITIVE))  # [2, E]


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
    try:
        text = path.read_bytes().decode("ascii", errors="replace")
    except OSError as error:
        raise DataError(
            f"{path}: expected a readable file ({error.strerror})"
        ) from None
    lines = enumerate(re.split(r"\r\n|\r|\n", text), start=1)
    return [(number, line) for number, line in lines if line.strip(" \t")]


def _rating(word: str, path: Path, line: int, column: int) -> int:
    if not re.fullmatch(f"[0-{_MAX_RATING}]", word):
        raise DataError(
            f"{path}:{line}:{column}: expected a rating from 1 to {_MAX_RATING}, or 0 "
            f"for none, got {word[:40]!r}"
        )
    return int(word)
