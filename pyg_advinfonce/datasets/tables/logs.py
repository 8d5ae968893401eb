"""Tables of interactions, read into arrays that share one numbering of ids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.datasets.id_text import IdList
from pyg_advinfonce.datasets.pair_text import Ids
from pyg_advinfonce.datasets.tables.columns import Columns
from pyg_advinfonce.datasets.tables.raw_ids import RawIds
from pyg_advinfonce.datasets.tables.table import Table
from pyg_advinfonce.errors import DataError


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
    users, items = RawIds(), RawIds()
    codes = {
        name: _read(table, columns, users, items)
        for name, (table, columns) in tables.items()
    }
    user_ids, user_row = users.sort(_Refuse([(t, c.user) for t, c in tables.values()]))
    item_ids, item_row = items.sort(_Refuse([(t, c.item) for t, c in tables.values()]))
    logs = {name: _renumbered(log, user_row, item_row) for name, log in codes.items()}
    return Logs(logs, user_ids, item_ids)


def _read(table: Table, columns: Columns, users: RawIds, items: RawIds) -> Log:
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


@dataclass(frozen=True)
class _Refuse:
    """Makes the error about an id, which names the first place that has it."""

    columns: Sequence[tuple[Table, str]]

    def __call__(self, text: str, expected: str) -> DataError:
        for table, column in self.columns:
            wrong = table.wrong(column, lambda v: v.strip() == text, expected)
            if wrong is not None:
                return wrong
        table, column = self.columns[0]
        return DataError(
            f"{table.path}:1: expected {expected} in every row of {column}"
        )
