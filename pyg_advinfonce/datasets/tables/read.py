"""Tables of interactions read into arrays that share one numbering of ids."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyg_advinfonce.datasets.base import (
    TABLE_SUFFIXES,
    IdList,
    Ids,
    is_integer_id,
    is_printable_id,
)
from pyg_advinfonce.datasets.tables.columns import Columns
from pyg_advinfonce.datasets.tables.delimited import DelimitedTable
from pyg_advinfonce.datasets.tables.parquet import ParquetTable
from pyg_advinfonce.datasets.tables.values import is_number
from pyg_advinfonce.errors import ConfigError, DataError

SUFFIXES = (*TABLE_SUFFIXES, ".txt")
"""The names of tables end so; a text file is one where no split files are meant."""

_DIGITS = re.compile(r"[0-9]+")
_MISSING = frozenset(("", "nan", "none", "null", "<na>", "inf", "-inf"))

Refuse = Callable[[str, str], DataError]
"""From a wrong id and what was expected to the error that says where it occurs."""


class IdCodes:
    """Collects the ids of users, or of items, from any number of columns.

    Ids are integers if all that occur are, else strings; 007 is a string. What looks
    like a number and is no integer from zero on, among numbers alone, is an error.
    """

    def __init__(self) -> None:
        self._code: dict[str, int] = {}

    def codes(self, values: pd.Series) -> NDArray[np.int32]:
        """Return a number for each value ``[N]``, in the order of first occurrence."""
        of_value, distinct = pd.factorize(values, use_na_sentinel=False)
        texts = [str(text).strip(" \t\r\n") for text in distinct]
        code = self._code
        found = [code.setdefault(text, len(code)) for text in texts]
        return np.array(found, dtype=np.int32)[of_value]

    def sort(self, refuse: Refuse) -> tuple[IdList, Ids]:
        """Return the ids in their order, and for each code the id's row.

        Args:
            refuse: Makes the error about a wrong id.

        Raises:
            DataError: If an id is missing, holds a control character or is a number
                among numbers but no integer from 0 to 2**63 - 1.
        """
        ids = _check(list(self._code), refuse)
        array = np.array(ids, dtype=np.int64 if isinstance(ids[0], int) else object)
        order = np.argsort(array, kind="stable")
        row = np.empty(len(ids), dtype=np.int64)
        row[order] = np.arange(len(ids))
        in_order = array[order]
        return (in_order if in_order.dtype == np.int64 else in_order.tolist()), row


def _check(texts: list[str], refuse: Refuse) -> list[int] | list[str]:
    for text in texts:
        if text.lower() in _MISSING or not is_printable_id(text):
            raise refuse(text, "an id")
    if all(map(is_integer_id, texts)):
        return [int(text) for text in texts]
    if all(is_number(text) and not _has_padding(text) for text in texts):
        wrong = next(text for text in texts if not is_integer_id(text))
        raise refuse(wrong, "an integer id from 0 to 2**63 - 1")
    return texts


def _has_padding(text: str) -> bool:
    return bool(_DIGITS.fullmatch(text)) and text[0] == "0" and len(text) > 1


class Table(Protocol):
    """A file of rows with named columns."""

    path: Path

    @property
    def names(self) -> Sequence[str]:
        """The columns."""

    def chunks(
        self, ids: Sequence[str], numbers: Sequence[str], time: str | None
    ) -> Iterator[pd.DataFrame]:
        """Read some columns, a number of rows at a time.

        Args:
            ids: Columns that are given as they are, as text where the file is text.
            numbers: Columns of finite numbers, given as float64.
            time: A column of times, given as float64 that sort as the times do.

        Raises:
            DataError: If a number or time is none, or the file is malformed.
        """

    def wrong(
        self, column: str, is_wrong: Callable[[str], bool], expected: str
    ) -> DataError | None:
        """Return the error that names a column's first wrong value, if there is one.

        It begins with ``path:line:field``.
        """


def open_table(path: Path) -> Table:
    """Return the table in a file.

    Raises:
        ConfigError: If the file's name ends in nothing that is known.
        DataError: If the file is no table.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return ParquetTable(path)
    if suffix in SUFFIXES:
        return DelimitedTable(path)
    raise ConfigError(f"{path}: expected a table, a file in {', '.join(SUFFIXES)}")


@dataclass(frozen=True)
class Log:
    """The rows of one table.

    Args:
        pairs: The pairs ``[2, N]`` that count as positive, as often as they occur.
        time: Their times ``[N]``, where they were read.
        num_rows: How many rows there are, those that do not count included.
        users: The rows ``[U']`` of the users that occur, in any row of the table.
        items: The rows ``[I']`` of the items that occur.
    """

    pairs: Ids
    time: NDArray[np.float64] | None
    num_rows: int
    users: Ids
    items: Ids


@dataclass(frozen=True)
class Logs:
    """Tables by name, and the raw ids of the rows that they share."""

    tables: Mapping[str, Log]
    user_ids: IdList
    item_ids: IdList


def read_logs(tables: Mapping[str, tuple[Table, Columns]]) -> Logs:
    """Read tables in pieces; ids become rows in the order of the sorted ids.

    Raises:
        DataError: If a value is wrong or no row counts; it says where.
    """
    users, items = IdCodes(), IdCodes()
    codes = {
        name: _read(table, columns, users, items)
        for name, (table, columns) in tables.items()
    }
    user_ids, user_row = users.sort(_refusal([(t, c.user) for t, c in tables.values()]))
    item_ids, item_row = items.sort(_refusal([(t, c.item) for t, c in tables.values()]))
    logs = {name: _renumbered(log, user_row, item_row) for name, log in codes.items()}
    return Logs(logs, user_ids, item_ids)


def _read(table: Table, columns: Columns, users: IdCodes, items: IdCodes) -> Log:
    pairs, times = [], []
    seen_users, seen_items = np.zeros(0, np.int64), np.zeros(0, np.int64)
    num_rows = 0
    for chunk in table.chunks(
        [columns.user, columns.item], columns.numbers, columns.time
    ):
        user, item = users.codes(chunk[columns.user]), items.codes(chunk[columns.item])
        counts = columns.positive.holds(chunk)
        pairs.append(np.stack([user[counts], item[counts]]))
        if columns.time is not None:
            times.append(chunk[columns.time].to_numpy()[counts])
        seen_users, seen_items = _with(seen_users, user), _with(seen_items, item)
        num_rows += len(chunk)
    if not sum(part.shape[1] for part in pairs):
        raise _nothing(table, columns, num_rows)
    time = np.concatenate(times) if times else None
    return Log(np.concatenate(pairs, axis=1), time, num_rows, seen_users, seen_items)


def _with(seen: Ids, codes: NDArray[np.int32]) -> Ids:
    """Return the codes that have been seen, with new ones."""
    there = np.zeros(max(seen.max(initial=-1), codes.max(initial=-1)) + 1, np.bool_)
    there[seen] = there[codes] = True
    return np.flatnonzero(there)


def _nothing(table: Table, columns: Columns, num_rows: int) -> DataError:
    if num_rows:
        spans = " and ".join(_span(table, name) for name in columns.numbers)
        return DataError(
            f"{table.path}:1: expected rows with {columns.positive}, but none of "
            f"{num_rows:,} is so: {spans}; choose another --positive-if "
            "(data.positive_if)"
        )
    return DataError(f"{table.path}:1: expected rows below the columns' names")


def _span(table: Table, column: str) -> str:
    """Say between which numbers a column lies."""
    chunks = [chunk[column] for chunk in table.chunks([], [column], None)]
    low, high = min(c.min() for c in chunks), max(c.max() for c in chunks)
    return f"'{column}' lies between {low:g} and {high:g}"


def _renumbered(log: Log, user_row: Ids, item_row: Ids) -> Log:
    pairs = np.stack([user_row[log.pairs[0]], item_row[log.pairs[1]]])
    users, items = np.sort(user_row[log.users]), np.sort(item_row[log.items])
    return Log(pairs, log.time, log.num_rows, users, items)


def _refusal(columns: Sequence[tuple[Table, str]]) -> Refuse:
    """Return what makes the error about an id: it names the first place that has it."""

    def refuse(text: str, expected: str) -> DataError:
        for table, column in columns:
            wrong = table.wrong(column, lambda v: v.strip() == text, expected)
            if wrong is not None:
                return wrong
        table, column = columns[0]
        return DataError(
            f"{table.path}:1: expected {expected} in every row of {column}"
        )

    return refuse
