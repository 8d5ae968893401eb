"""Tables of interactions as arrays that share one numbering of ids."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyg_advinfonce.datasets.base import (
    TABLE_SUFFIXES,
    IdList,
    IntArray,
    is_integer_id,
    is_printable_id,
    joined,
    table_suffix,
)
from pyg_advinfonce.datasets.tables.columns import Columns, TableOptions
from pyg_advinfonce.datasets.tables.delimited import DelimitedTable
from pyg_advinfonce.datasets.tables.frames import (
    DataFrameTable,
    JsonLinesTable,
    ParquetTable,
    parquet_parts,
)
from pyg_advinfonce.datasets.tables.values import MISSING, is_number
from pyg_advinfonce.errors import ConfigError, DataError

JSON_SUFFIXES = (".jsonl", ".ndjson")
SUFFIXES = (*TABLE_SUFFIXES, ".txt")
"""Suffixes of tables; ``.txt`` is a table where no split files are accepted."""

_DIGITS = re.compile(r"[0-9]+")

ErrorFactory = Callable[[str, str], DataError]
"""Returns the error about an invalid id and what was expected."""


class IdCodes:
    """Encodes the ids of users, or of items, from any number of columns.

    Ids are integers if all values are, else strings; 007 is a string. If all values are
    numbers, one that is not a non-negative integer is an error.
    """

    def __init__(self) -> None:
        self._code: dict[str, int] = {}

    def codes(self, values: pd.Series) -> NDArray[np.int32]:
        """Return the code of each value ``[N]``; new values get the next codes."""
        of_value, distinct = pd.factorize(values, use_na_sentinel=False)
        texts = [str(text).strip(" \t\r\n") for text in distinct]
        code = self._code
        found = [code.setdefault(text, len(code)) for text in texts]
        return np.array(found, dtype=np.int32)[of_value]

    def sort(self, error: ErrorFactory) -> tuple[IdList, IntArray]:
        """Return the sorted ids, and the row of each code.

        Args:
            error: Returns the error about an invalid id.

        Raises:
            DataError: If an id is missing, has a control character or, among numbers
                only, is not an integer from 0 to 2**63 - 1.
        """
        ids = _check_ids(list(self._code), error)
        array = np.array(ids, dtype=np.int64 if isinstance(ids[0], int) else object)
        order = np.argsort(array, kind="stable")
        row = np.empty(len(ids), dtype=np.int32)
        row[order] = np.arange(len(ids), dtype=np.int32)
        in_order = array[order]
        return (in_order if in_order.dtype == np.int64 else in_order.tolist()), row


def _check_ids(texts: list[str], error: ErrorFactory) -> list[int] | list[str]:
    for text in texts:
        if text.lower() in MISSING or not is_printable_id(text):
            raise error(text, "an id")
    if all(map(is_integer_id, texts)):
        return [int(text) for text in texts]
    if all(is_number(text) and not _has_padding(text) for text in texts):
        wrong = next(text for text in texts if not is_integer_id(text))
        hint = "" if not wrong.endswith(".0") else f" ({wrong[:-2]} without '.0')"
        raise error(wrong, f"an integer id from 0 to 2**63 - 1{hint}")
    return texts


def _has_padding(text: str) -> bool:
    return bool(_DIGITS.fullmatch(text)) and text[0] == "0" and len(text) > 1


class Table(Protocol):
    """Interface of a file of rows with named columns."""

    path: Path
    num_incomplete: int

    @property
    def names(self) -> Sequence[str]:
        """The columns."""

    def chunks(
        self,
        ids: Sequence[str],
        numbers: Sequence[str],
        time: str | None,
        texts: Sequence[str] = (),
    ) -> Iterator[pd.DataFrame]:
        """Yield chunks of rows with the given columns.

        Args:
            ids: Columns returned unchanged; as strings if the file is text.
            numbers: Columns of finite numbers, returned as float64.
            time: Column of times, returned as float64 in the same order.
            texts: Columns that are compared with texts, returned as strings.

        Raises:
            DataError: If a number or time is invalid, or the file is malformed.
        """

    def wrong(
        self, column: str, is_wrong: Callable[[str], bool], expected: str
    ) -> DataError | None:
        """Return the error about the first wrong value of a column, or None.

        Its message starts with ``path:line:field``.
        """


def open_table(
    source: Path | pd.DataFrame, options: TableOptions | None = None
) -> Table:
    """Open a file by its suffix, without that of a compression, or a data frame.

    Args:
        source: The file, a folder of parquet files that are one table, or the frame.
        options: Format of the table.

    Raises:
        ConfigError: If the suffix is unknown or an option has no effect.
        DataError: If the file is not a table.
    """
    options = options or TableOptions()
    drop = options.drop_incomplete
    is_file = isinstance(source, Path)
    suffix = table_suffix(source) if isinstance(source, Path) else ""
    if isinstance(source, Path) and source.is_dir() and parquet_parts(source):
        suffix = ".parquet"
    if is_file and suffix not in SUFFIXES:
        raise ConfigError(
            f"{source}: expected a table with suffix {', '.join(SUFFIXES)}"
        )
    is_delimited = is_file and suffix not in (".parquet", *JSON_SUFFIXES)
    if not is_delimited and (options.names or options.separated_by):
        raise ConfigError(
            "columns, separator and format have no effect on parquet, JSON lines and "
            "data frames: remove them"
        )
    if isinstance(source, pd.DataFrame):
        return DataFrameTable(source, drop_incomplete=drop)
    if suffix == ".parquet":
        return ParquetTable(source, drop_incomplete=drop)
    if suffix in JSON_SUFFIXES:
        return JsonLinesTable(source, encoding=options.encoding, drop_incomplete=drop)
    return DelimitedTable(
        source,
        options.names,
        separator=options.separated_by,
        encoding=options.encoding,
        drop_incomplete=drop,
    )


@dataclass(frozen=True)
class Log:
    """Interactions of one table.

    Args:
        pairs: Positive pairs ``[2, N]``, including repeated ones.
        time: Their times ``[N]``, if read.
        num_rows: Number of all rows, including incomplete ones and those that are not
            positive.
        num_incomplete: Number of rows that were dropped for a missing value.
        users: Indices ``[U']`` of the users in the table, with or without a positive.
        items: Indices ``[I']`` of the items in the table, likewise.
        others: Pairs ``[2, M]`` of rows that are not positive.
    """

    pairs: IntArray
    time: NDArray[np.float64] | None
    num_rows: int
    users: IntArray
    items: IntArray
    others: IntArray
    num_incomplete: int = 0

    @property
    def known(self) -> IntArray:
        """All pairs ``[2, N + M]``, positive or not."""
        if not self.others.size:
            return self.pairs  # a copy of a large table may not fit into memory
        return np.concatenate([self.pairs, self.others], axis=1)


@dataclass(frozen=True)
class Logs:
    """Interactions by table name, and the raw ids by their shared graph rows."""

    tables: Mapping[str, Log]
    user_ids: IdList
    item_ids: IdList

    @property
    def known(self) -> IntArray:
        """All pairs ``[2, N]`` of all tables, positive or not."""
        known = [log.known for log in self.tables.values()]
        return known[0] if len(known) == 1 else np.concatenate(known, axis=1)


def read_logs(tables: Mapping[str, tuple[Table, Columns]]) -> Logs:
    """Read tables in chunks; ids become graph rows in sorted order.

    Raises:
        DataError: If a value is invalid or no row is positive; the message says where.
    """
    users, items = IdCodes(), IdCodes()
    codes = {
        name: _read(table, columns, users, items)
        for name, (table, columns) in tables.items()
    }
    user_ids, user_row = users.sort(
        _id_error([(t, c.user) for t, c in tables.values()])
    )
    item_ids, item_row = items.sort(
        _id_error([(t, c.item) for t, c in tables.values()])
    )
    logs = {name: _renumbered(log, user_row, item_row) for name, log in codes.items()}
    return Logs(logs, user_ids, item_ids)


def _read(table: Table, columns: Columns, users: IdCodes, items: IdCodes) -> Log:
    pairs: list[IntArray] = []
    others: list[IntArray] = []
    times: list[NDArray[np.float64]] = []
    seen_users: IntArray = np.zeros(0, np.int64)
    seen_items: IntArray = np.zeros(0, np.int64)
    num_rows = 0
    for chunk in table.chunks(
        [columns.user, columns.item],
        columns.numbers,
        columns.time,
        columns.positive.texts,
    ):
        user, item = users.codes(chunk[columns.user]), items.codes(chunk[columns.item])
        counts = columns.positive.holds(chunk)
        pairs.append(np.stack([user[counts], item[counts]]))
        others.append(np.stack([user[~counts], item[~counts]]))
        if columns.time is not None:
            times.append(chunk[columns.time].to_numpy()[counts])
        seen_users, seen_items = _union(seen_users, user), _union(seen_items, item)
        num_rows += len(chunk)
    if not sum(part.shape[1] for part in pairs):
        raise _no_positive(table, columns, num_rows)
    dropped = table.num_incomplete
    return Log(
        joined(pairs),
        joined(times) if times else None,
        num_rows + dropped,
        seen_users,
        seen_items,
        joined(others),
        dropped,
    )


def _union(seen: IntArray, codes: NDArray[np.int32]) -> IntArray:
    """Return the sorted union of codes."""
    present = np.zeros(max(seen.max(initial=-1), codes.max(initial=-1)) + 1, np.bool_)
    present[seen] = present[codes] = True
    return np.flatnonzero(present)


def _no_positive(table: Table, columns: Columns, num_rows: int) -> DataError:
    if num_rows:
        texts = [f"'{name}' has other values" for name in columns.positive.texts]
        ranges = " and ".join(
            [*(_range_text(table, name) for name in columns.numbers), *texts]
        )
        return DataError(
            f"{table.path}:1: no row satisfies {columns.positive} ({num_rows:,} rows): "
            f"{ranges}; set another --positive-if (data.positive_if)"
        )
    if table.num_incomplete:
        return DataError(
            f"{table.path}:1: all {table.num_incomplete:,} rows have a missing value "
            "and are dropped (data.drop_incomplete)"
        )
    return DataError(f"{table.path}:1: expected rows below the header, found none")


def _range_text(table: Table, column: str) -> str:
    """Return a text with the range of a column."""
    chunks = [chunk[column] for chunk in table.chunks([], [column], None)]
    low, high = min(c.min() for c in chunks), max(c.max() for c in chunks)
    return f"'{column}' lies between {low:g} and {high:g}"


def _renumbered(log: Log, user_row: IntArray, item_row: IntArray) -> Log:
    for pairs in (log.pairs, log.others):  # in place: they may be large
        for ends, row in zip(pairs, (user_row, item_row), strict=True):
            ends[:] = row[ends]
    users, items = np.sort(user_row[log.users]), np.sort(item_row[log.items])
    return replace(log, users=users, items=items)


def _id_error(columns: Sequence[tuple[Table, str]]) -> ErrorFactory:
    """Return a function that makes the error about the first place of an id."""

    def error(text: str, expected: str) -> DataError:
        is_missing = text.lower() in MISSING  # pandas may have changed None to nan

        def is_wrong(value: str) -> bool:
            value = value.strip()
            return value == text or (is_missing and value.lower() in MISSING)

        for table, column in columns:
            wrong = table.wrong(column, is_wrong, expected)
            if wrong is not None:
                return wrong
        table, column = columns[0]
        return DataError(
            f"{table.path}:1: expected {expected} in every row of {column}"
        )

    return error
