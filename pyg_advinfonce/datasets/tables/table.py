"""What a table is, whatever its format, and which format a file has."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pandas as pd

from pyg_advinfonce.datasets.tables.delimited import DelimitedTable
from pyg_advinfonce.datasets.tables.parquet import ParquetTable
from pyg_advinfonce.errors import ConfigError, DataError

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")
"""The names of tables end so."""


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
