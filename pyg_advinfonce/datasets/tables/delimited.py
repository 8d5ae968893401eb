"""A table in text: values between commas, tabs, semicolons or bars."""

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

Records = Iterator[tuple[int, list[str]]]


class DelimitedTable:
    """A text file whose first line names the columns.

    The text is UTF-8, with or without a byte order mark. Blank lines are skipped,
    blanks around values are not part of them, and quotes may hold delimiters.

    Args:
        path: The file.
        names: The columns, where the file has no line that names them.

    Raises:
        DataError: If the file is not there, has no row or names a column twice.
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
        """Read columns as :class:`~pyg_advinfonce.datasets.tables.Table` says."""
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
        """Return the error that names a column's first wrong value, if there is one."""
        field = self.names.index(column) + 1
        with self._text_errors():
            for line, record in self._records():
                value = self._value(record, column)
                if is_wrong(value):
                    place = f"{self.path}:{line}:{field}"
                    return DataError(
                        f"{place}: expected {expected}, got {shown(value)}"
                    )
        return None

    def _read(self, wanted: Sequence[str], numeric: set[str]) -> Iterator[pd.DataFrame]:
        """Let pandas read columns, by their places: names may be empty or repeated."""
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
            with reader, suppress(IndexError):  # pandas, where it finds no row
                for chunk in reader:
                    rows += len(chunk)
                    yield chunk.set_axis([self.names[p] for p in places], axis=1)
        if not rows:  # where the csv module has found one: lone carriage returns
            place = f"{self.path}:{self._last_line()}"
            raise DataError(f"{place}: malformed row, expected values")

    def _check_lengths(self) -> None:
        """Refuse the first row with more values than columns: pandas cuts it off."""
        if not self._may_have_long_rows():
            return
        number = len(self.names)
        for line, record in self._records():
            if any(record[number:]):
                raise DataError(
                    f"{self.path}:{line}: expected {number} values, got {len(record)}: "
                    "quote a value that holds the delimiter"
                )

    def _may_have_long_rows(self) -> bool:
        """Whether a line has too many delimiters, quoted or not, or an open quote."""
        most, rest = len(self.names) - 1, b""
        with self.path.open("rb") as file:
            while block := file.read(_BLOCK):
                lines, _, rest = (rest + block).rpartition(b"\n")
                if _is_suspect(lines, self._delimiter, most):
                    return True
        return _is_suspect(rest, self._delimiter, most)

    def _finite(self, values: pd.Series, column: str) -> pd.Series:
        if values.dtype == object:  # an id that is compared with a number, too
            code, texts = pd.factorize(values)
            if not all(is_number(text.strip(_BLANKS)) for text in texts):
                raise self._no_number(column)
            numbers = texts.astype("float64").to_numpy()[code]
            values = pd.Series(numbers, index=values.index)
        if not np.isfinite(values.to_numpy()).all():
            raise self._no_number(column)
        return values

    def _times(self, values: pd.Series, column: str) -> pd.Series:
        code, texts = pd.factorize(values)
        times = parse_times(texts)
        if times is None:
            raise self._refusal(
                column,
                lambda text: not is_time(text),
                f"numbers or ISO 8601 times in column '{column}'",
            )
        return pd.Series(times[code], index=values.index)

    def _no_number(self, column: str) -> DataError:
        expected = f"a finite number in column '{column}'"
        return self._refusal(column, lambda text: not is_number(text), expected)

    def _refusal(
        self, column: str, is_wrong: Callable[[str], bool], expected: str
    ) -> DataError:
        """Return the error about a column that pandas could not read."""
        unknown = DataError(f"{self.path}:1: expected {expected} in every row")
        return self.wrong(column, is_wrong, expected) or unknown

    def _read_head(self) -> str:
        with self._text_errors(), self._open() as file:
            while line := file.readline(_MAX_HEADER):
                if line.strip(_BLANKS):
                    return line
        raise DataError(f"{self.path}:1: expected a line that names the columns")

    def _check_names(self) -> None:
        if not self._has_header:
            return
        if all(map(is_number, self.names)):
            raise DataError(
                f"{self.path}:1: expected a line that names the columns, got "
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
            for _, record in self._records():
                return record
        raise DataError(f"{self.path}:1: expected rows below the columns' names")

    def _records(self) -> Records:
        """Yield the rows below the header, with the line that each ends on."""
        with self._open() as file:
            reader = csv.reader(file, delimiter=self._delimiter, skipinitialspace=True)
            rows = ((reader.line_num, r) for r in reader if not _is_blank(r))
            if self._has_header:
                next(rows, None)
            yield from rows

    def _value(self, record: Sequence[str], column: str) -> str:
        place = self.names.index(column)
        return record[place].strip(_BLANKS) if place < len(record) else ""

    def _open(self) -> TextIO:
        return self.path.open(encoding="utf-8-sig", newline="")

    @contextmanager
    def _number_errors(self, columns: set[str]) -> Iterator[None]:
        """Find the value that pandas could not turn into a number."""
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
        """Say of malformed text in one line what it is and where."""
        try:
            with reading(self.path):
                yield
        except UnicodeError as error:
            place = f"{self.path}:{_undecodable_line(self.path)}"
            raise DataError(f"{place}: expected text in UTF-8") from error
        except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
            raise DataError(f"{self._malformed(error)}") from error
        except csv.Error as error:
            raise DataError(f"{self.path}:1: expected values, {error}") from error

    def _malformed(self, error: Exception) -> str:
        said = _first_line(error).removeprefix("Error tokenizing data. C error: ")
        found = re.search(r"line (\d+)", said)
        line = int(found[1]) if found else self._last_line()
        return f"{self.path}:{line}: malformed row, {said}"

    def _last_line(self) -> int:
        """Return where the last row begins: an open quote runs on to the end."""
        ends = [line for line, _ in self._records()][-2:]
        return ends[0] + 1 if len(ends) == 2 else 1


def _is_suspect(lines: bytes, delimiter: str, most: int) -> bool:
    """Whether one of the lines has more delimiters than that, or an open quote."""
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


def _is_blank(record: Sequence[str]) -> bool:
    return not record or (len(record) == 1 and not record[0].strip(_BLANKS))


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
