"""Text tables separated by commas, tabs, semicolons, bars, ``::`` or blanks."""

import csv
import io
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd

from pyg_advinfonce.datasets.tables.columns import columns_advice, is_common_name
from pyg_advinfonce.datasets.tables.text import UTF_8, TextFile
from pyg_advinfonce.datasets.tables.values import (
    CHUNK_ROWS,
    complete_rows,
    got,
    is_missing,
    is_number,
    is_time,
    parse_times,
    shown,
)
from pyg_advinfonce.errors import ConfigError, DataError, DataWarning, counted

BLANKS = " "
DELIMITERS = (",", "\t", ";", "|", "::")
"""Separators that are detected; blanks only if the columns are given."""

# Names that are easier to type.
_NAMED = {"tab": "\t", "space": BLANKS, "comma": ",", "\\t": "\t"}
_QUOTING = (",", ";", "|")
_UNIT = "\x1f"  # replaces a separator that the csv module does not support
_TYPED = re.compile(r"(.+):(token|float)(_seq)?")
_MAX_HEADER = 2**16
_BLOCK = 2**22
_BLANKS = " \t\r\n"

Rows = Iterator[tuple[int, list[str]]]


class DelimitedTable:
    """A delimited text file.

    Blank lines and whitespace around values are ignored. If commas, semicolons or bars
    separate, a value in quotes may contain them; otherwise a quote is an ordinary
    character, unless all names of the header are in quotes. Types in the header, as in
    ``user_id:token``, are ignored.

    Args:
        path: The file.
        names: Names of the columns if the file has no header; empty ones are not read.
        separator: Separator of the values (default: detected).
        encoding: Encoding of the text (default: UTF-8).
        drop_incomplete: Whether rows with a missing value are dropped.

    Raises:
        DataError: If the file does not exist, has no row, repeats a column name or
            does not have the named columns.
        ConfigError: If the separator or encoding is unknown.
    """

    def __init__(
        self,
        path: Path,
        names: Sequence[str] | None = None,
        *,
        separator: str | None = None,
        encoding: str | None = None,
        drop_incomplete: bool = False,
    ) -> None:
        self.path = path
        self.num_incomplete, self._drop = 0, drop_incomplete
        self._text = TextFile(path, encoding)
        self._has_header = names is None
        head = self._read_head()
        self._separator = _separator(separator, head, names)
        self._is_quoted = self._separator in _QUOTING or _all_quoted(
            head, self._separator
        )
        first: list[str] = next(self._csv([_united(head, self._separator)]), [])
        self.names = [name.strip(_BLANKS) for name in names or first]
        if self._has_header:
            self.names = _without_types(self.names)
        self._check_names()
        self._first_row = self._read_first_row()
        if names is not None:
            self._check_width(names)

    def chunks(
        self,
        ids: Sequence[str],
        numbers: Sequence[str],
        time: str | None,
        texts: Sequence[str] = (),
    ) -> Iterator[pd.DataFrame]:
        """See :class:`~pyg_advinfonce.datasets.tables.Table`."""
        self.num_incomplete = 0
        wanted = dict.fromkeys([*ids, *numbers, *texts, *([time] if time else [])])
        numeric = list(numbers)
        if time is not None and self._is_numeric(time):
            numeric.append(time)
        as_numbers = set() if self._drop else set(numeric) - {*ids, *texts}
        for chunk in self._read(list(wanted), as_numbers):
            for column in numeric:
                chunk[column] = self._finite(chunk[column], column)
            if time is not None and time not in numeric:
                chunk[time] = self._times(chunk[time], time)
            for column in texts:
                chunk[column] = chunk[column].str.strip(_BLANKS)
            yield chunk

    def _is_numeric(self, time: str) -> bool:
        """Return whether the first time that is not missing is a number."""
        with self._text_errors():
            for _, row in self._rows():
                value = self._value(row, time)
                if not self._drop or not is_missing(pd.Series([value]))[0]:
                    return is_number(value)
        return True

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
                    return DataError(f"{place}: expected {expected}, got {got(value)}")
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
        with (
            self._text_errors(),
            self._number_errors(numeric),
            self._open() as file,
        ):
            reader = pd.read_csv(
                file,
                sep=self._delimiter,
                quoting=csv.QUOTE_MINIMAL if self._is_quoted else csv.QUOTE_NONE,
                header=0 if self._has_header else None,
                names=range(len(self.names)),
                index_col=False,
                usecols=places,
                dtype=kinds,
                na_filter=False,
                skipinitialspace=True,
                chunksize=CHUNK_ROWS,
            )
            rows = 0
            with reader, suppress(IndexError):  # pandas raises it if no row follows
                for chunk in reader:
                    rows += len(chunk)
                    found = chunk.set_axis([self.names[p] for p in places], axis=1)
                    complete = complete_rows(found) if self._drop else found
                    self.num_incomplete += len(found) - len(complete)
                    yield complete
        if not rows:  # lone carriage returns, in which the csv module finds a row
            place = f"{self.path}:{self._last_line()}"
            raise DataError(f"{place}: malformed row, expected values")

    def _check_lengths(self) -> None:
        """Reject rows with more values than columns, which pandas truncates.

        A quote that does not enclose a value extends over further rows. It is an error
        if the quoted value does not end at a separator, otherwise a warning.
        """
        if not self._may_have_long_rows():
            return
        number, before = len(self.names), 0
        swallowing: list[int] = []
        for line, row in self._rows(strict=True):
            if any(row[number:]):
                raise DataError(
                    f"{self.path}:{line}: expected {counted(number, 'value')}, got "
                    f"{len(row)}: "
                    "quote values that contain the delimiter"
                )
            if line > before + 1 and (hidden := self._hidden_rows(row)):
                swallowing.append(line - hidden)
            before = line
        if swallowing:
            warnings.warn(
                f"{self.path}: {len(swallowing):,} quoted values contain lines that "
                f"look like rows, the first in line {swallowing[0]}: if the quote "
                "is part of the value, double it or use tabs as separator",
                DataWarning,
                stacklevel=6,
            )

    def _hidden_rows(self, row: Sequence[str]) -> int:
        """Return the number of further lines in a row if they look like rows."""
        number = len(self.names) - 1
        lines = re.split(r"\r\n|\r|\n", self._delimiter.join(row))
        is_hiding = all(line.count(self._delimiter) == number for line in lines)
        return len(lines) - 1 if is_hiding else 0

    def _may_have_long_rows(self) -> bool:
        """Return whether a line has too many delimiters or an open quote."""
        if self._delimiter == _UNIT or self._text.codec != UTF_8:
            return True
        most, rest = len(self.names) - 1, b""
        with self._text.open_binary() as file:
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
        with self._text_errors(), self._text.open() as file:
            while line := file.readline(_MAX_HEADER):
                if line.strip(_BLANKS):
                    return line
        raise DataError(f"{self.path}:1: expected a header line, found none")

    def _check_names(self) -> None:
        named = [name for name in self.names if name]
        is_movielens = self._separator == "::"
        by_format = ", or use --format movielens (data.format)" if is_movielens else ""
        if self._has_header and all(map(is_number, self.names)):
            raise DataError(
                f"{self.path}:1: expected a header line with column names, got "
                f"{shown(self._separator.join(self.names))}, which looks like data: "
                f"add one, or name the columns with "
                f"{columns_advice(len(self.names))}{by_format}"
            )
        twice = next((n for n in named if named.count(n) > 1), None)
        if twice is not None and not self._has_header:
            raise ConfigError(f"expected distinct column names, got {named}")
        if twice is not None:
            raise DataError(
                f"{self.path}:1: expected each column once, found {shown(twice)} twice"
            )

    def _check_width(self, names: Sequence[str]) -> None:
        """Check that the first row has the given columns."""
        number = len(self._first_row)
        if names[-1].endswith("?"):
            names = [*names[:-1], names[-1][:-1]][:number]
            self.names = list(names)
        if number != len(names):
            raise DataError(
                f"{self.path}:1: expected {counted(len(names), 'value')}, the columns "
                f"{','.join(names)[:80]}, got {number}: "
                f"{shown(self._separator.join(self._first_row))}: name each value, "
                f"e.g. {columns_advice(number)}"
            )
        known = [value for value in self._first_row if is_common_name(value)]
        if len(known) > 1 and not any(map(is_number, self._first_row)):
            raise DataError(
                f"{self.path}:1: expected data, got a header: "
                f"{shown(self._separator.join(self._first_row))}: remove --columns "
                "(data.columns)"
            )

    def _read_first_row(self) -> list[str]:
        with self._text_errors():
            for _, row in self._rows():
                return row
        raise DataError(f"{self.path}:1: expected rows below the header, found none")

    def _rows(self, *, strict: bool = False) -> Rows:
        """Yield the rows below the header, with the number of their last line."""
        with self._open() as file:
            reader = self._csv(file, strict=strict)
            try:
                rows = ((reader.line_num, r) for r in reader if not _is_blank(r))
                if self._has_header:
                    next(rows, None)
                yield from rows
            except csv.Error as error:
                raise DataError(
                    f"{self.path}:{reader.line_num or 1}: malformed row, {error}"
                    + (": double quotes within a quoted value" if strict else "")
                ) from error

    def _csv(self, lines: Iterable[str], *, strict: bool = False) -> Any:  # noqa: ANN401
        return csv.reader(
            lines,
            delimiter=self._delimiter,
            quoting=csv.QUOTE_MINIMAL if self._is_quoted else csv.QUOTE_NONE,
            skipinitialspace=True,
            strict=strict,
        )

    def _value(self, row: Sequence[str], column: str) -> str:
        place = self.names.index(column)
        return row[place].strip(_BLANKS) if place < len(row) else ""

    @property
    def _delimiter(self) -> str:
        """The separator in the text of :meth:`_open`."""
        return self._separator if _is_plain(self._separator) else _UNIT

    def _open(self) -> "TextIO | _United":
        file = self._text.open()
        return file if _is_plain(self._separator) else _United(file, self._separator)

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
            with self._text.errors():
                yield
        except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
            raise DataError(f"{self._malformed(error)}") from error

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


class _United(io.TextIOBase):
    """A text in which a separator of several characters becomes a single one."""

    def __init__(self, file: TextIO, separator: str) -> None:
        self._file, self._separator = file, separator

    def read(self, size: int | None = -1, /) -> str:
        text = self._file.read(-1 if size is None else size)
        if not text:
            return ""
        lines = io.StringIO(text + self._file.readline(), newline="")
        return "".join(_united(line, self._separator) for line in lines)

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        return _united(self._file.readline(), self._separator)

    def close(self) -> None:
        self._file.close()
        super().close()


def _is_plain(separator: str) -> bool:
    return len(separator) == 1 and separator != BLANKS


def _united(line: str, separator: str) -> str:
    """Return a line with a separator that the csv module does not support replaced."""
    if _is_plain(separator):
        return line
    if separator != BLANKS:
        return line.replace(separator, _UNIT)
    text = line.rstrip("\r\n")
    return _UNIT.join(re.split(r"[ \t]+", text.strip(" \t"))) + line[len(text) :]


def _separator(chosen: str | None, head: str, names: Sequence[str] | None) -> str:
    """Return the chosen separator, or the one that fits the first line best."""
    if chosen is not None:
        found = _NAMED.get(chosen, chosen)
        if not found or len(found) > 8 or set(found) & {'"', "\r", "\n"}:
            raise ConfigError(
                "separator must be a character, '::', tab or space (got "
                f"{chosen!r:.40})"
            )
        return BLANKS if found.isspace() and found != "\t" else found
    widths = {sign: len(_split(head, sign)) for sign in DELIMITERS}
    if names is not None and len(names) not in widths.values():
        widths[BLANKS] = len(head.split())
        if widths[BLANKS] == len(names):
            return BLANKS
    return max(widths, key=lambda sign: widths[sign])


def _split(line: str, separator: str) -> list[str]:
    if separator not in _QUOTING:
        return line.split(separator)
    return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])


def _all_quoted(head: str, separator: str) -> bool:
    names = [name.strip(_BLANKS) for name in head.split(separator)]
    return all(len(n) > 1 and n[0] == n[-1] == '"' for n in names if n)


def _without_types(names: Sequence[str]) -> list[str]:
    """Return names without the types of RecBole's headers, if all have one."""
    typed = [_TYPED.fullmatch(name) for name in names]
    return [match[1] for match in typed if match] if all(typed) else list(names)


def _is_blank(row: Sequence[str]) -> bool:
    return not row or (len(row) == 1 and not row[0].strip(_BLANKS))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
