"""Parquet tables."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from pyg_advinfonce.datasets.tables.values import is_number, is_time, parse_times, shown
from pyg_advinfonce.errors import DataError, optional_package

CHUNK_ROWS = 2**20


class ParquetTable:
    """A parquet file, read with the extra ``[data]``; messages cite rows as lines.

    Args:
        path: The file.

    Raises:
        MissingExtraError: If pyarrow is not installed.
        DataError: If the file is not a parquet file or has no row.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._errors():
            self._file = optional_package("pyarrow.parquet").ParquetFile(path)
        self.names: list[str] = self._file.schema_arrow.names
        twice = next((n for n in self.names if self.names.count(n) > 1), None)
        if twice is not None:
            raise DataError(
                f"{path}:1: expected each column once, found {shown(twice)}"
            )
        if not self._file.metadata.num_rows:
            raise DataError(f"{path}:1: expected rows, found none")

    def chunks(
        self, ids: Sequence[str], numbers: Sequence[str], time: str | None
    ) -> Iterator[pd.DataFrame]:
        """See :class:`~pyg_advinfonce.datasets.tables.Table`."""
        wanted = list(dict.fromkeys([*ids, *numbers, *([time] if time else [])]))
        for chunk in self._read(wanted):
            for column in numbers:
                chunk[column] = self._numbers(chunk[column])
            if time is not None:
                chunk[time] = self._times(chunk[time])
            yield chunk

    def wrong(
        self, column: str, is_wrong: Callable[[str], bool], expected: str
    ) -> DataError | None:
        """See :class:`~pyg_advinfonce.datasets.tables.Table`."""
        row, field = 1, self.names.index(column) + 1
        for chunk in self._read([column]):
            values = [str(value) for value in chunk[column]]
            place = next((i for i, value in enumerate(values) if is_wrong(value)), None)
            if place is not None:
                value = shown(values[place])
                where = f"{self.path}:{row + place}:{field}"
                return DataError(f"{where}: expected {expected}, got {value}")
            row += len(values)
        return None

    def _read(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        with self._errors():
            for batch in self._file.iter_batches(CHUNK_ROWS, columns=list(columns)):
                yield batch.to_pandas()[list(columns)]

    def _numbers(self, values: pd.Series) -> pd.Series:
        if pd.api.types.is_numeric_dtype(values):
            found = values.astype("float64")
            if np.isfinite(found.to_numpy()).all():
                return found
        expected = f"a finite number in column '{values.name}'"
        raise self._value_error(values, lambda text: not is_number(text), expected)

    def _times(self, values: pd.Series) -> pd.Series:
        if pd.api.types.is_numeric_dtype(values):
            return self._numbers(values)
        times = parse_times(pd.Index(values))
        if times is not None:
            return pd.Series(times, index=values.index)
        expected = f"numbers or ISO 8601 times in column '{values.name}'"
        raise self._value_error(values, lambda text: not is_time(text), expected)

    def _value_error(
        self, values: pd.Series, is_wrong: Callable[[str], bool], expected: str
    ) -> DataError:
        """Return the error about a column with an invalid value or type."""
        wrong = self.wrong(str(values.name), is_wrong, expected)
        type_ = f"{self.path}:1: expected {expected}, got values of type {values.dtype}"
        return wrong or DataError(type_)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except DataError:
            raise
        except (OSError, ValueError, NotImplementedError) as error:  # pyarrow's, too
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            message = f"{self.path}:1: expected a parquet file ({reason})"
            raise DataError(message) from None
