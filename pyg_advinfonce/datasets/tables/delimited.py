"""Text tables separated by commas, tabs, semicolons or bars."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from pyg_advinfonce.datasets.tables.values import is_number, is_time, parse_times, shown
from pyg_advinfonce.errors import DataError
from pyg_advinfonce.files import reading

CHUNK_ROWS = 2**20
DELIMITERS = (",", "\t", ";", "|")
_MAX_HEADER = 2**16
_BLOCK = 2**22
_BLANKS = " \t\r\n"

Rows = Iterator[tuple[int, list[str]]]


class DelimitedTable:
    """A delimited text file with a header line.

    The text is UTF-8, with or without a byte order mark. Blank lines and whitespace
    around values are ignored; quoted values may contain delimiters.

    Args:
        path: The file.
        names: Names of the columns if the file has no header.

    Raises:
        DataError: If the file does not exist, has no row or repeats a column name.
    """

    def __init__(self, path: Path, names: Sequence[str] | None = None) -> None:
        self.path = path
        self._has_header = names is None
        head = self._read_head()
        self._delimiter = max(DELIMITERS, key=lambda sign: len(_split(head, sign)))
        first = _split(head, self._delimiter)
        self.names = [name.strip(_BLANKS) for name in names or first]
        self._check_names()
        self._first_row = self._read_first_row()

    def chunks(
        self, ids: Sequence[str], numbers: Sequence[str], time: str | None
    ) -> Iterator[pd.DataFrame]:
        """See :class:`~pyg_advinfonce.datasets.tables.Table`."""
        numeric = list(numbers)
        if time is not None and is_number(self._value(self._first_row, time)):
            numeric.append(time)
        wanted = dict.fromkeys([*ids, *numbers, *([time] if time else [])])
        for chunk in self._read(list(wanted), set(numeric) - set(ids)):
            for column in numeric:
                chunk[column] = self._finite(chunk[column], column)
            if time is not None and time not in numeric:
                chunk[time] = self._times(chunk[time], time)
            yield chunk

    def wrong(
        self, column: str, is_wrong: Callable[[str], bool], expected: str
    ) -> DataError | None:
        """See :class:`~pyg_advinfonce.datasets.tables.Table`."""
        field = self.names.index(column) + 1
        with self._text_errors():
            for line, row in self._rows():
                value = self._value(row, column)
                if is_wrong(value):
                    place = f"{self.path}:{line}:{field}"
                    return DataError(
                        f"{place}: expected {expected}, got {shown(value)}"
                    )
        return None

    def _read(self, wanted: Sequence[str], numeric: set[str]) -> Iterator[pd.DataFrame]:
        """Read columns by position, since names may be empty or repeated."""
        with self._text_errors():
            self._check_lengths()
        places = sorted(self.names.index(name) for name in wanted)
        kinds = {
            place: "float64" if self.names[place] in numeric else object
            for place in places
        }
        with self._text_errors(), self._number_errors(numeric):
            reader = pd.read_csv(
                self.path,
                sep=self._delimiter,
                header=0 if self._has_header else None,
                names=range(len(self.names)),
                index_col=False,
                usecols=places,
                dtype=kinds,
                na_filter=False,
                skipinitialspace=True,
                encoding="utf-8-sig",
                compression=None,
                chunksize=CHUNK_ROWS,
            )
            rows = 0
            with reader, suppress(IndexError):  # pandas raises it if no row follows
                for chunk in reader:
                    rows += len(chunk)
                    yield chunk.set_axis([self.names[p] for p in places], axis=1)
        if not rows:  # lone carriage returns, in which the csv module finds a row
            place = f"{self.path}:{self._last_line()}"
            raise DataError(f"{place}: malformed row, expected values")

    def _check_lengths(self) -> None:
        """Reject rows with more values than columns, which pandas truncates."""
        if not self._may_have_long_rows():
            return
        number = len(self.names)
        for line, row in self._rows():
            if any(row[number:]):
                raise DataError(
                    f"{self.path}:{line}: expected {number} values, got {len(row)}: "
                    "quote values that contain the delimiter"
                )

    def _may_have_long_rows(self) -> bool:
        """Return whether a line has too many delimiters or an open quote."""
        most, rest = len(self.names) - 1, b""
        with self.path.open("rb") as file:
            while block := file.read(_BLOCK):
                lines, _, rest = (rest + block).rpartition(b"\n")
                if _is_suspect(lines, self._delimiter, most):
                    return True
        return _is_suspect(rest, self._delimiter, most)

    def _finite(self, values: pd.Series, column: str) -> pd.Series:
        if values.dtype == object:  # an id column that is also compared with a number
            code, texts = pd.factorize(values)
            if not all(is_number(text.strip(_BLANKS)) for text in texts):
                raise self._not_finite(column)
            numbers = texts.astype("float64").to_numpy()[code]
            values = pd.Series(numbers, index=values.index)
        if not np.isfinite(values.to_numpy()).all():
            raise self._not_finite(column)
        return values

    def _times(self, values: pd.Series, column: str) -> pd.Series:
        code, texts = pd.factorize(values)
        times = parse_times(texts)
        if times is None:
            raise self._value_error(
                column,
                lambda text: not is_time(text),
                f"numbers or ISO 8601 times in column '{column}'",
            )
        return pd.Series(times[code], index=values.index)

    def _not_finite(self, column: str) -> DataError:
        expected = f"a finite number in column '{column}'"
        return self._value_error(column, lambda text: not is_number(text), expected)

    def _value_error(
        self, column: str, is_wrong: Callable[[str], bool], expected: str
    ) -> DataError:
        """Return the error about a column that pandas cannot read."""
        unknown = DataError(f"{self.path}:1: expected {expected} in every row")
        return self.wrong(column, is_wrong, expected) or unknown

    def _read_head(self) -> str:
        with self._text_errors(), self._open() as file:
            while line := file.readline(_MAX_HEADER):
                if line.strip(_BLANKS):
                    return line
        raise DataError(f"{self.path}:1: expected a header line, found none")

    def _check_names(self) -> None:
        if not self._has_header:
            return
        if all(map(is_number, self.names)):
            raise DataError(
                f"{self.path}:1: expected a header line with column names, got "
                f"{shown(self._delimiter.join(self.names))}: add one"
            )
        named = [name for name in self.names if name]
        twice = next((n for n in named if named.count(n) > 1), None)
        if twice is not None:
            raise DataError(
                f"{self.path}:1: expected each column once, found {shown(twice)} twice"
            )

    def _read_first_row(self) -> list[str]:
        with self._text_errors():
            for _, row in self._rows():
                return row
        raise DataError(f"{self.path}:1: expected rows below the header, found none")

    def _rows(self) -> Rows:
        """Yield the rows below the header, with the number of their last line."""
        with self._open() as file:
            reader = csv.reader(file, delimiter=self._delimiter, skipinitialspace=True)
            rows = ((reader.line_num, r) for r in reader if not _is_blank(r))
            if self._has_header:
                next(rows, None)
            yield from rows

    def _value(self, row: Sequence[str], column: str) -> str:
        place = self.names.index(column)
        return row[place].strip(_BLANKS) if place < len(row) else ""

    def _open(self) -> TextIO:
        return self.path.open(encoding="utf-8-sig", newline="")

    @contextmanager
    def _number_errors(self, columns: set[str]) -> Iterator[None]:
        """Locate a value that pandas cannot convert to a number."""
        try:
            yield
        except (UnicodeError, pd.errors.ParserError, pd.errors.EmptyDataError):
            raise
        except (ValueError, OverflowError) as error:
            for column in sorted(columns, key=self.names.index):
                expected = f"a finite number in column '{column}'"
                wrong = self.wrong(column, lambda text: not is_number(text), expected)
                if wrong is not None:
                    raise wrong from error
            raise DataError(f"{self.path}:1: {_first_line(error)}") from error

    @contextmanager
    def _text_errors(self) -> Iterator[None]:
        """Turn errors about malformed text into a one-line error with the place."""
        try:
            with reading(self.path):
                yield
        except UnicodeError as error:
            place = f"{self.path}:{_undecodable_line(self.path)}"
            raise DataError(f"{place}: expected text in UTF-8") from error
        except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
            raise DataError(f"{self._malformed(error)}") from error
        except csv.Error as error:
            raise DataError(f"{self.path}:1: malformed text, {error}") from error

    def _malformed(self, error: Exception) -> str:
        reason = _first_line(error).removeprefix("Error tokenizing data. C error: ")
        found = re.search(r"line (\d+)", reason)
        line = int(found[1]) if found else self._last_line()
        return f"{self.path}:{line}: malformed row, {reason}"

    def _last_line(self) -> int:
        """Return the line of the last row, where an open quote begins."""
        ends = [line for line, _ in self._rows()][-2:]
        return ends[0] + 1 if len(ends) == 2 else 1


def _is_suspect(lines: bytes, delimiter: str, most: int) -> bool:
    """Return whether a line has more than ``most`` delimiters or an open quote."""
    if b'"' in lines:
        sign = delimiter.encode()
        return any(
            line.count(sign) > most or line.count(b'"') % 2
            for line in lines.split(b"\n")
        )
    signs = np.frombuffer(lines, np.uint8)
    ends = np.append(np.flatnonzero(signs == ord("\n")), len(signs))
    before = np.searchsorted(np.flatnonzero(signs == ord(delimiter)), ends)
    return bool(np.diff(before, prepend=0).max() > most)


def _split(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])


def _is_blank(row: Sequence[str]) -> bool:
    return not row or (len(row) == 1 and not row[0].strip(_BLANKS))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _undecodable_line(path: Path) -> int:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1
