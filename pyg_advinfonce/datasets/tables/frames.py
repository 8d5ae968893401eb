"""Typed tables: parquet, JSON lines and data frames."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pyg_advinfonce.datasets.tables.text import TextFile
from pyg_advinfonce.datasets.tables.values import (
    CHUNK_ROWS,
    complete_rows,
    is_number,
    is_time,
    parse_times,
    shown,
)
from pyg_advinfonce.errors import DataError, optional_package
from pyg_advinfonce.files import MAX_BYTES, regular_file

_ROWS_OF_NAMES = 1000


class FrameTable:
    """Base of tables that are read as data frames; messages cite rows as lines.

    Args:
        path: Path for messages.
        names: The columns.
        drop_incomplete: Whether rows with a missing value are dropped.

    Raises:
        DataError: If a column is repeated.
    """

    def __init__(
        self, path: Path, names: Sequence[str], *, drop_incomplete: bool = False
    ) -> None:
        self.path, self.names = path, list(names)
        self.num_incomplete, self._drop = 0, drop_incomplete
        twice = next((n for n in self.names if self.names.count(n) > 1), None)
        if twice is not None:
            raise DataError(
                f"{path}:1: expected each column once, found {shown(twice)} twice"
            )

    def frames(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Yield chunks of rows with the given columns.

        Raises:
            DataError: If the content is malformed.
        """
        raise NotImplementedError

    def chunks(
        self,
        ids: Sequence[str],
        numbers: Sequence[str],
        time: str | None,
        texts: Sequence[str] = (),
    ) -> Iterator[pd.DataFrame]:
        """See :class:`~pyg_advinfonce.datasets.tables.Table`."""
        self.num_incomplete = 0
        roles = [*ids, *numbers, *texts, *([time] if time else [])]
        for frame in self.frames(list(dict.fromkeys(roles))):
            for column in frame:
                self._check_scalars(frame[column])
            chunk = complete_rows(frame) if self._drop else frame
            self.num_incomplete += len(frame) - len(chunk)
            for column in numbers:
                chunk[column] = self._numbers(chunk[column])
            if time is not None:
                chunk[time] = self._times(chunk[time])
            for column in texts:
                chunk[column] = [str(value) for value in chunk[column]]
            yield chunk

    def wrong(
        self, column: str, is_wrong: Callable[[str], bool], expected: str
    ) -> DataError | None:
        """See :class:`~pyg_advinfonce.datasets.tables.Table`."""
        row, field = 1, self.names.index(column) + 1
        for chunk in self.frames([column]):
            values = [str(value) for value in chunk[column]]
            place = next((i for i, value in enumerate(values) if is_wrong(value)), None)
            if place is not None:
                value = shown(values[place])
                where = f"{self.path}:{row + place}:{field}"
                return DataError(f"{where}: expected {expected}, got {value}")
            row += len(values)
        return None

    def not_scalar(self, column: str, found: str) -> DataError:
        """Return the error about a column with several values per row."""
        return DataError(
            f"{self.path}:1:{self.names.index(column) + 1}: expected one value per row "
            f"in column {shown(column)}, got {found}: write one row per interaction "
            "(pandas: explode)"
        )

    def _check_scalars(self, values: pd.Series) -> None:
        if values.dtype != object:
            return
        for value in values:
            if isinstance(value, list | tuple | dict | set | np.ndarray):
                raise self.not_scalar(str(values.name), type(value).__name__)

    def _numbers(self, values: pd.Series) -> pd.Series:
        expected = f"a finite number in column '{values.name}'"
        if values.dtype == object and all(
            isinstance(value, int | float) for value in values
        ):
            values = values.astype("float64")
        if pd.api.types.is_numeric_dtype(values) and not values.hasnans:
            found = values.astype("float64")
            if np.isfinite(found.to_numpy()).all():
                return found
        raise self._value_error(values, lambda text: not is_number(text), expected)

    def _times(self, values: pd.Series) -> pd.Series:
        if pd.api.types.is_numeric_dtype(values):
            return self._numbers(values)
        if len(values) and isinstance(values.iloc[0], int | float):
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


class ParquetTable(FrameTable):
    """A parquet file, read with the extra ``[data]``.

    Binary columns are decoded as UTF-8.

    Args:
        path: The file.
        drop_incomplete: Whether rows with a missing value are dropped.

    Raises:
        MissingExtraError: If pyarrow is not installed.
        DataError: If the file is not a parquet file or has no row.
    """

    def __init__(self, path: Path, *, drop_incomplete: bool = False) -> None:
        regular_file(path, MAX_BYTES)
        self.path = path
        self._arrow = optional_package("pyarrow")
        with self._errors():
            self._file = optional_package("pyarrow.parquet").ParquetFile(path)
        self._schema = self._file.schema_arrow
        super().__init__(path, self._schema.names, drop_incomplete=drop_incomplete)
        if not self._file.metadata.num_rows:
            raise DataError(f"{path}:1: expected rows, found none")

    def frames(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """See :class:`FrameTable`."""
        for column in columns:
            type_ = self._schema.field(column).type
            if self._arrow.types.is_nested(type_):
                raise self.not_scalar(column, str(type_)[:80])
        with self._errors():
            for batch in self._file.iter_batches(CHUNK_ROWS, columns=list(columns)):
                # Keeps integers in a column with missing values.
                yield pd.DataFrame(
                    {
                        name: self._text(batch.column(name), name).to_pandas(
                            integer_object_nulls=True
                        )
                        for name in columns
                    }
                )

    def _text(self, values: Any, name: str) -> Any:  # noqa: ANN401
        """Return an array with dictionaries and binary values decoded."""
        arrow = self._arrow
        if arrow.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        if not any(
            kind(values.type)
            for kind in (
                arrow.types.is_binary,
                arrow.types.is_large_binary,
                arrow.types.is_fixed_size_binary,
                arrow.types.is_binary_view,
            )
        ):
            return values
        try:
            return values.cast(arrow.binary()).cast(arrow.string())
        except arrow.ArrowInvalid:
            raise DataError(
                f"{self.path}:1:{self.names.index(name) + 1}: expected text or "
                f"integers in column {shown(name)}, got binary values that are not "
                "UTF-8: write them as text, e.g. in hexadecimal"
            ) from None

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


class JsonLinesTable(FrameTable):
    """A text file with one JSON object per line.

    The columns are the keys of the first thousand rows.

    Args:
        path: The file.
        encoding: Its encoding (default: UTF-8).
        drop_incomplete: Whether rows with a missing value are dropped.

    Raises:
        DataError: If the first lines are not JSON objects or no row exists.
    """

    def __init__(
        self, path: Path, *, encoding: str | None = None, drop_incomplete: bool = False
    ) -> None:
        self.path, self._text = path, TextFile(path, encoding)
        head = list(islice(self._rows(), _ROWS_OF_NAMES))
        if not head:
            raise DataError(f"{path}:1: expected rows, found none")
        names = dict.fromkeys(name for row in head for name in row)
        super().__init__(path, list(names), drop_incomplete=drop_incomplete)

    def frames(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """See :class:`FrameTable`."""
        rows = self._rows()
        while chunk := list(islice(rows, CHUNK_ROWS)):
            yield pd.DataFrame(
                {
                    name: pd.Series([row.get(name) for row in chunk], dtype=object)
                    for name in columns
                }
            )

    def _rows(self) -> Iterator[dict[str, Any]]:
        with self._text.errors(), self._text.open() as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    row = None
                if not isinstance(row, dict):
                    raise DataError(
                        f"{self.path}:{number}: expected a JSON object per line, got "
                        f"{shown(line.strip())}"
                    )
                yield row


class DataFrameTable(FrameTable):
    """A pandas data frame.

    Args:
        frame: The frame; its index is not read.
        drop_incomplete: Whether rows with a missing value are dropped.

    Raises:
        DataError: If the frame has no row.
    """

    def __init__(self, frame: pd.DataFrame, *, drop_incomplete: bool = False) -> None:
        path = Path("DataFrame")
        names = [str(name) for name in frame.columns]
        super().__init__(path, names, drop_incomplete=drop_incomplete)
        if not len(frame):
            raise DataError(f"{path}:1: expected rows, found none")
        self._frame = frame.set_axis(names, axis=1).reset_index(drop=True)

    def frames(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """See :class:`FrameTable`."""
        yield self._frame[list(columns)].copy()
