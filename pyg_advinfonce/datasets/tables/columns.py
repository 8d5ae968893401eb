"""Columns of a table, and the condition for a positive row."""

import operator
import re
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyg_advinfonce.datasets.tables.values import is_number, is_time
from pyg_advinfonce.errors import ConfigError, DataError, DataWarning
from pyg_advinfonce.registry import unknown

_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_COMPARISON = re.compile(
    r"\s*(?P<column>[^<>=!]*[^<>=!\s])\s*(?P<sign>>=|<=|==|!=|>|<)\s*"
    r"((?P<number>[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?)"
    r"|(?P<quote>[\"'])(?P<text>.*)(?P=quote))\s*",
    re.IGNORECASE,
)
_AND = re.compile(r"""\s+and\s+(?=(?:[^"']|"[^"]*"|'[^']*')*$)""")


@dataclass(frozen=True)
class Comparison:
    """Comparison of a column with a number, or for equality with a text."""

    column: str
    sign: str
    value: float | str

    def __str__(self) -> str:
        is_text = isinstance(self.value, str)
        value = f'"{self.value}"' if is_text else repr(self.value).removesuffix(".0")
        return f"{self.column} {self.sign} {value}"


@dataclass(frozen=True)
class Condition:
    """Conjunction of comparisons of columns with numbers or texts."""

    comparisons: tuple[Comparison, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Parse ``column >= 4``, ``column == "text"``, or several joined by ``and``.

        Raises:
            ConfigError: If the text is invalid.
        """
        return cls(tuple(map(_parse, _AND.split(text))))

    def __str__(self) -> str:
        """Return the condition in the normal form of :meth:`parse`."""
        return " and ".join(map(str, self.comparisons))

    @property
    def columns(self) -> list[str]:
        """Distinct columns of the comparisons."""
        return list(dict.fromkeys(one.column for one in self.comparisons))

    @property
    def texts(self) -> list[str]:
        """Distinct columns that are compared with texts."""
        found = [one.column for one in self.comparisons if isinstance(one.value, str)]
        return list(dict.fromkeys(found))

    def renamed(self, names: Mapping[str, str]) -> "Condition":
        """Return the condition with columns renamed."""
        return Condition(
            tuple(
                Comparison(names.get(one.column, one.column), one.sign, one.value)
                for one in self.comparisons
            )
        )

    def holds(self, rows: pd.DataFrame) -> NDArray[np.bool_]:
        """Return whether the condition holds, per row ``[N]``."""
        found = np.ones(len(rows), dtype=np.bool_)
        for one in self.comparisons:
            compare = _OPERATORS[one.sign]
            found &= compare(rows[one.column].to_numpy(), one.value)
        return found


def _parse(text: str) -> Comparison:
    match = _COMPARISON.fullmatch(text)
    is_text = match is not None and match["text"] is not None
    if match is None or (is_text and match["sign"] not in ("==", "!=")):
        raise ConfigError(
            "positive_if must be a column, one of >= > <= < == != and a number, e.g. "
            "'rating >= 4', or == or != and a text in quotes, e.g. "
            f"'event == \"buy\"' (got {text!r:.80})"
        )
    value = match["text"] if is_text else float(match["number"])
    return Comparison(match["column"], match["sign"], value)


# Case, whitespace, dots, dashes and underscores are ignored.
_COMMON: Mapping[str, str] = {
    "user": "user users userid useridx uid u customer customerid reviewerid visitorid",
    "item": (
        "item items itemid itemidx iid i movie movieid video videoid song songid track "
        "trackid artist artistid book bookid product productid article articleid asin "
        "parentasin isbn business businessid game gameid"
    ),
    "rating": "rating ratings score stars overall",
    "time": "timestamp time date datetime ts unixreviewtime",
    "weight": (
        "weight plays playcount watchratio playratio count counts clicks views listens "
        "playtime playduration duration quantity frequency watchtime"
    ),
}


def columns_advice(number: int) -> str:
    """Return the option that names the columns of a text, for a number of them."""
    names = ["user", "item", "rating", "time"][: max(number, 2)]
    return f"--columns {','.join(names)}{',' * (number - 4)} (data.columns)"


FORMATS: Mapping[str, tuple[str, str]] = {
    "triples": ("user,item,rating,time?", "space"),
    "movielens": ("user,item,rating,timestamp", "::"),
}
"""Columns and separator of headerless files by the name of their format.

A question mark after the last column makes it optional.
"""


@dataclass(frozen=True)
class TableOptions:
    """Format of a table of interactions and condition of its positive rows.

    Args:
        user_col: Column of user ids (default: detected by a common name).
        item_col: Column of item ids (default: detected by a common name).
        rating_col: Column that ``rating`` in ``positive_if`` refers to if no column has
            that name (default: detected by a common name).
        time_col: Column of timestamps, numbers or ISO 8601, for splits that need them
            (default: detected by a common name).
        positive_if: Condition for a positive row, e.g. ``rating >= 4`` (default: all
            rows are positive).
        format: ``triples`` (``user item rating`` as of SELFRec; a fourth value is the
            time) or ``movielens`` (``user::item::rating::timestamp``); short for
            ``columns`` and ``separator``.
        columns: Names of the columns of a text without a header, a list or separated
            by commas; an empty name for a column that is not read.
        separator: Separator of a text: a character, ``::``, ``tab`` or ``space`` for
            any number of blanks (default: detected).
        encoding: Encoding of a text (default: UTF-8).
        drop_incomplete: Whether rows with a missing value in a column that is read
            are dropped and counted (default: they are an error).
        min_user: Smallest number of pairs per user; users with fewer are removed
            repeatedly, together with rare items.
        min_item: Smallest number of pairs per item, likewise.

    Raises:
        ConfigError: If a value is invalid.
        UnknownNameError: If the format is unknown.
    """

    user_col: str | None = None
    item_col: str | None = None
    rating_col: str | None = None
    time_col: str | None = None
    positive_if: str | None = None
    format: str | None = None
    columns: str | Sequence[str] | None = None
    separator: str | None = None
    encoding: str | None = None
    drop_incomplete: bool = False
    min_user: int = 1
    min_item: int = 1

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in FORMATS:
            raise unknown("format", str(self.format), FORMATS)
        if self.format is not None and (self.columns or self.separator):
            raise ConfigError(
                f"format '{self.format}' already sets columns and separator: remove it "
                "or them"
            )
        if self.columns is not None and not self.names:
            raise ConfigError(
                "columns must be names separated by commas, e.g. user,item,rating "
                f"(got {self.columns!r:.80})"
            )
        for name in ("min_user", "min_item"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ConfigError(f"{name} must be a positive integer (got {value!r})")

    @property
    def names(self) -> list[str] | None:
        """Names of the columns of a text without a header; None with a header."""
        given = self.columns if self.format is None else FORMATS[self.format][0]
        if isinstance(given, str):
            given = given.split(",") if given else ()
        if given is None:
            return None
        is_list = isinstance(given, list | tuple)
        if not is_list or not all(isinstance(name, str) for name in given):
            return []
        return [name.strip() for name in given]

    @property
    def separated_by(self) -> str | None:
        """Separator of a text; None if it is detected."""
        return self.separator if self.format is None else FORMATS[self.format][1]

    def as_dict(self) -> dict[str, Any]:
        """Return the options of reading that are set, as JSON values."""
        named = self.format is None and self.names
        found = {
            "format": self.format,
            "columns": ",".join(named) if named else None,
            "separator": self.separator,
            "encoding": self.encoding,
            "drop_incomplete": self.drop_incomplete or None,
            "min_user": self.min_user if self.min_user > 1 else None,
            "min_item": self.min_item if self.min_item > 1 else None,
        }
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True)
class Columns:
    """Columns of one table by role."""

    user: str
    item: str
    time: str | None
    positive: Condition

    @property
    def numbers(self) -> list[str]:
        """Columns that are compared with numbers."""
        return [c for c in self.positive.columns if c not in self.positive.texts]


def find_columns(
    path: Path, names: Sequence[str], options: TableOptions, *, needs_time: bool
) -> Columns:
    """Select or detect the columns of a table.

    Args:
        path: Path of the table, for messages.
        names: Names of its columns.
        options: Requested columns.
        needs_time: Whether the split needs a time.

    Raises:
        DataError: If a column is missing or ambiguous.
        ConfigError: If ``positive_if`` is invalid or compares an id.
    """
    finder = _Finder(path, names, is_header=options.names is None)
    user = finder.find("user", options.user_col)
    item = finder.find("item", options.item_col)
    if user == item:
        raise ConfigError(
            f"user_col and item_col are both '{user}': choose two columns"
        )
    if options.user_col or options.item_col:
        finder.warn_of_data((user, item))
    time = finder.find("time", options.time_col) if needs_time else None
    positive = _positive(finder, options)
    ids = sorted({user, item} & {*positive.columns})
    if ids:
        raise ConfigError(
            f"positive_if compares the id column '{ids[0]}': use another column"
        )
    mixed = [c for c in positive.texts if _compares_number(positive, c)]
    mixed += [column for column in positive.texts if column == time]
    if mixed:
        raise ConfigError(
            f"positive_if compares '{mixed[0]}' with a text, but it is a number or a "
            "time elsewhere: use another column"
        )
    return Columns(user, item, time, positive)


def _compares_number(condition: Condition, column: str) -> bool:
    return any(
        one.column == column and not isinstance(one.value, str)
        for one in condition.comparisons
    )


def _positive(finder: "_Finder", options: TableOptions) -> Condition:
    """Return the condition with ``rating`` resolved to the rating column."""
    if options.positive_if is None:
        return Condition()
    condition = Condition.parse(options.positive_if)
    renamed = {}
    for column in condition.columns:
        if column == "rating" and column not in finder.names:
            renamed[column] = finder.find("rating", options.rating_col)
        else:
            finder.check(column, "positive_if")
    return condition.renamed(renamed)


def warn_of_ratings(path: Path, names: Sequence[str], options: TableOptions) -> None:
    """Warn if a table has ratings or weights but ``positive_if`` is not set.

    Args:
        path: Path of the table.
        names: Names of its columns.
        options: Requested columns and condition.

    Raises:
        DataError: If the rating column is missing.
    """
    if options.positive_if is not None:
        return
    finder = _Finder(path, names)
    ratings = finder.common("rating")
    if options.rating_col is not None:
        finder.check(options.rating_col, "rating_col")
        ratings = [options.rating_col]
    weights = finder.common("weight")
    if ratings or weights:
        column, bound = (ratings[0], ">= 4") if ratings else (weights[0], "> 0")
        warnings.warn(
            f"{path}: every row counts as positive, regardless of '{column}': set a "
            f"condition with --positive-if '{column} {bound}' (data.positive_if)",
            DataWarning,
            stacklevel=2,
        )


@dataclass(frozen=True)
class _Finder:
    path: Path
    names: Sequence[str]
    is_header: bool = False

    def find(self, role: str, chosen: str | None) -> str:
        """Return the chosen column, or the only one with a common name."""
        if chosen is not None:
            return self.check(chosen, f"{role}_col")
        found = self.common(role)
        if len(found) == 1:
            return found[0]
        actual = f"several, {_listed(found)}" if found else "none"
        raise DataError(
            f"{self.path}:1: expected one {role} column, found {actual}, among "
            f"{_listed(self.names)}: {self._advice(role)}"
        )

    def _advice(self, role: str) -> str:
        words = [word for name in self.names for word in name.split()]
        if self.is_header and any(is_number(w) or is_time(w) for w in words):
            names = columns_advice(len(self.names))
            return f"the first line looks like data, so name the columns with {names}"
        option = f"--{role}-col NAME (data.{role}_col)"
        if not self.is_header:
            return f"use a common name in --columns (data.columns) or set {option}"
        return f"set it with {option}"

    def warn_of_data(self, chosen: Collection[str]) -> None:
        """Warn if the header with the chosen names looks like data."""
        others = set(self.names) - set(chosen)
        is_data = any(is_number(name) or is_time(name) for name in self.names)
        if self.is_header and is_data and not any(map(is_common_name, others)):
            warnings.warn(
                f"{self.path}:1: the first line looks like data, "
                f"{_listed(self.names)}, but is read as the header: if the file "
                f"has no header, use {columns_advice(len(self.names))}",
                DataWarning,
                stacklevel=3,
            )

    def check(self, column: str, option: str) -> str:
        if column not in self.names:
            raise DataError(
                f"{self.path}:1: expected the column '{column}' of {option}, found "
                f"{_listed(self.names)}"
            )
        return column

    def common(self, role: str) -> list[str]:
        """Return the columns with a common name of the role."""
        common = _COMMON[role].split()
        return [name for name in self.names if _plain(name) in common]


def is_common_name(name: str) -> bool:
    """Return whether a column with that name is recognised."""
    return any(_plain(name) in names.split() for names in _COMMON.values())


def _plain(name: str) -> str:
    return re.sub(r"[\s._-]", "", name).casefold()


def _listed(names: Collection[str]) -> str:
    shown = [repr(name[:40]) for name in list(names)[:12]]
    return ", ".join(shown + ["..."] * (len(names) > len(shown)))
