"""Typed tables: parquet, JSON lines and data frames."""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from pyg_advinfonce.datasets.tables.text import TextFile
from pyg_advinfonce.datasets.tables.values import (
    CHUNK_ROWS,
    complete_rows,
    got,
    is_number,
    is_time,
    parse_times,
    shown,
)
from pyg_advinfonce.errors import DataError, optional_package
from pyg_advinfonce.files import MAX_BYTES, file_sha256, reading, regular_file

_ROWS_OF_NAMES = 1000
_WORD = re.compile(r"[^a-z]")


class FrameTable:
    """Base of tables that are read as data frames; messages cite rows as lines.

    A subclass defines ``frames``, or ``files`` if it has several.

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
        for _, frames in self.files(columns):
            yield from frames

    def files(
        self, columns: Sequence[str]
    ) -> Iterator[tuple[Path, Iterator[pd.DataFrame]]]:
        """Yield each file of the table with its chunks of rows, in order."""
        yield self.path, self.frames(columns)

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
        field = self.names.index(column) + 1
        for path, frames in self.files([column]):
            row = 1
            for chunk in frames:
                values = [str(value) for value in chunk[column]]
                wrong = (i for i, value in enumerate(values) if is_wrong(value))
                if (place := next(wrong, None)) is not None:
                    where = f"{path}:{row + place}:{field}"
                    value = got(values[place])
                    return DataError(f"{where}: expected {expected}, got {value}")
                row += len(values)
        return None

    def not_scalar(self, path: Path, column: str, found: str) -> DataError:
        """Return the error about a column with several values per row."""
        return DataError(
            f"{path}:1:{self.names.index(column) + 1}: expected one value per row "
            f"in column {shown(column)}, got {found}: write one row per interaction "
            "(pandas: explode)"
        )

    def _check_scalars(self, values: pd.Series) -> None:
        if values.dtype != object:
            return
        for value in values:
            if isinstance(value, list | tuple | dict | set | np.ndarray):
                raise self.not_scalar(self.path, str(values.name), type(value).__name__)

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


def parquet_parts(folder: Path) -> list[Path]:
    """Return the sorted files of a folder that is one parquet table.

    Files of subfolders are parts, too. Names that start with ``_`` or ``.`` are left
    out, e.g. Spark's ``_SUCCESS``.

    Returns:
        The parts; none if the first folder with files has no parquet file.

    Raises:
        DataError: If another file is among the parts, or the parts are of splits.
    """
    parts: list[Path] = []
    others: list[Path] = []
    with reading(folder):
        for place, folders, names in os.walk(folder, onerror=_raise):
            folders[:] = sorted(name for name in folders if name[0] not in "_.")
            for name in sorted(name for name in names if name[0] not in "_."):
                is_part = name.lower().endswith(".parquet")
                (parts if is_part else others).append(Path(place, name))
            if others and not parts:
                return []
    if others:
        raise DataError(
            f"{others[0]}: expected only .parquet files, the parts of one table, in "
            f"{folder}: move it, or start its name with _"
        )
    names_of_splits = sorted(
        {_WORD.split(part.relative_to(folder).as_posix().lower())[0] for part in parts}
        & {"train", "valid", "validation", "val", "test"}
    )
    if len(names_of_splits) > 1:
        raise DataError(
            f"{folder}: expected the parts of one table, got files or folders named "
            f"after splits, {' and '.join(names_of_splits)}: write one file per split, "
            "train.parquet and test.parquet, or rename them"
        )
    return sorted(parts)


def _raise(error: OSError) -> NoReturn:
    raise error


def table_sha256(path: Path) -> str:
    """Return the sha256 of a file, or of the names and hashes of a folder's parts.

    Raises:
        DataError: If a file cannot be read.
    """
    if not path.is_dir():
        return file_sha256(path)
    digest = sha256()
    for part in parquet_parts(path):
        name = os.fsencode(part.relative_to(path).as_posix())
        digest.update(file_sha256(part).encode() + b" " + name + b"\n")
    return digest.hexdigest()


class ParquetTable(FrameTable):
    """A parquet file, or a folder of such parts, read with the extra ``[data]``.

    Binary columns are decoded as UTF-8. Subfolders named ``key=value``, as Hive and
    Spark write them, are columns.

    Args:
        path: The file or folder.
        drop_incomplete: Whether rows with a missing value are dropped.

    Raises:
        MissingExtraError: If pyarrow is not installed.
        DataError: If a file is not a parquet file or has other columns than the first,
            or no row exists.
    """

    def __init__(self, path: Path, *, drop_incomplete: bool = False) -> None:
        parts = parquet_parts(path) if path.is_dir() else [path]
        self._arrow = optional_package("pyarrow")
        self._schemas: dict[Path, Any] = {}
        num_rows = 0
        for part in parts:
            regular_file(part, MAX_BYTES)  # of one part: the rest is not in memory
            with self._errors(part):
                file = optional_package("pyarrow.parquet").ParquetFile(part)
                self._schemas[part] = file.schema_arrow
                num_rows += file.metadata.num_rows
        self._keys = self._partition_keys(path)
        names = {p: [*s.names, *self._keys[p]] for p, s in self._schemas.items()}
        super().__init__(path, names[parts[0]], drop_incomplete=drop_incomplete)
        for part, found in names.items():
            if sorted(found) != sorted(self.names):
                raise DataError(
                    f"{part}:1: expected the columns of {parts[0].name}, "
                    f"{shown(self.names)}, got {shown(found)}"
                )
        if not num_rows:
            raise DataError(f"{path}:1: expected rows, found none")

    def _partition_keys(self, folder: Path) -> dict[Path, Mapping[str, Any]]:
        """Return the columns that the subfolders' names set, by part."""
        if all("=" not in str(part.relative_to(folder)) for part in self._schemas):
            return {part: {} for part in self._schemas}
        arrow = optional_package("pyarrow.dataset")
        with self._errors(folder):
            found = arrow.dataset(
                [str(part) for part in self._schemas],
                format="parquet",
                partitioning="hive",
                partition_base_dir=str(folder),
            )
            values = {
                Path(fragment.path): arrow.get_partition_keys(
                    fragment.partition_expression
                )
                for fragment in found.get_fragments()
            }
        return {part: dict(sorted(keys.items())) for part, keys in values.items()}

    def files(
        self, columns: Sequence[str]
    ) -> Iterator[tuple[Path, Iterator[pd.DataFrame]]]:
        """See :class:`FrameTable`."""
        for column in columns:
            self._check_types(column)
        for part in self._schemas:
            yield part, self._frames(part, columns)

    def _check_types(self, column: str) -> None:
        """Check that a column has the same type, of one value, in all parts."""
        types = {
            part: schema.field(column).type
            for part, schema in self._schemas.items()
            if column not in self._keys[part]
        }
        for part, type_ in types.items():
            if self._arrow.types.is_nested(type_):
                raise self.not_scalar(part, column, str(type_)[:80])
            is_dictionary = self._arrow.types.is_dictionary(type_)
            types[part] = type_.value_type if is_dictionary else type_
        first = next(iter(types), self.path)
        for part, type_ in types.items():
            if type_ != types[first]:
                raise DataError(
                    f"{part}:1: expected the type {types[first]} in column "
                    f"{shown(column)}, as in {first.name}, got {type_}: write all "
                    "parts with one schema"
                )

    def _frames(self, part: Path, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        keys = self._keys[part]
        stored = [name for name in columns if name not in keys]
        with self._errors(part):
            file = optional_package("pyarrow.parquet").ParquetFile(part)
            for batch in file.iter_batches(CHUNK_ROWS, columns=stored):
                # Keeps integers in a column with missing values.
                found = {
                    name: keys[name]
                    if name in keys
                    else self._text(part, name, batch.column(name)).to_pandas(
                        integer_object_nulls=True
                    )
                    for name in columns
                }
                yield pd.DataFrame(found, index=range(batch.num_rows))

    def _text(self, part: Path, name: str, values: Any) -> Any:  # noqa: ANN401
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
                f"{part}:1:{self.names.index(name) + 1}: expected text or "
                f"integers in column {shown(name)}, got binary values that are not "
                "UTF-8: write them as text, e.g. in hexadecimal"
            ) from None

    @contextmanager
    def _errors(self, part: Path) -> Iterator[None]:
        try:
            yield
        except DataError:
            raise
        except (OSError, ValueError, NotImplementedError) as error:  # pyarrow's, too
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            message = f"{part}:1: expected a parquet file ({reason})"
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
