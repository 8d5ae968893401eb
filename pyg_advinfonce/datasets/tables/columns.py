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

from pyg_advinfonce.errors import ConfigError, DataError, DataWarning

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
    r"(?P<number>[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?)\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Comparison:
    """Comparison of a column with a number."""

    column: str
    sign: str
    number: float

    def __str__(self) -> str:
        return f"{self.column} {self.sign} {repr(self.number).removesuffix('.0')}"


@dataclass(frozen=True)
class Condition:
    """Conjunction of comparisons of columns with numbers."""

    comparisons: tuple[Comparison, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Parse ``column >= 4``, or several such comparisons joined by ``and``.

        Raises:
            ConfigError: If the text is invalid.
        """
        return cls(tuple(map(_parse, re.split(r"\s+and\s+", text))))

    def __str__(self) -> str:
        """Return the condition in the normal form of :meth:`parse`."""
        return " and ".join(map(str, self.comparisons))

    @property
    def columns(self) -> list[str]:
        """Distinct columns of the comparisons."""
        return list(dict.fromkeys(one.column for one in self.comparisons))

    def renamed(self, names: Mapping[str, str]) -> "Condition":
        """Return the condition with columns renamed."""
        return Condition(
            tuple(
                Comparison(names.get(one.column, one.column), one.sign, one.number)
                for one in self.comparisons
            )
        )

    def holds(self, rows: pd.DataFrame) -> NDArray[np.bool_]:
        """Return whether the condition holds, per row ``[N]``."""
        found = np.ones(len(rows), dtype=np.bool_)
        for one in self.comparisons:
            compare = _OPERATORS[one.sign]
            found &= compare(rows[one.column].to_numpy(), one.number)
        return found


def _parse(text: str) -> Comparison:
    match = _COMPARISON.fullmatch(text)
    if match is None:
        raise ConfigError(
            "positive_if must be a column, one of >= > <= < == != and a number, e.g. "
            f"'rating >= 4' (got {text!r:.80})"
        )
    return Comparison(match["column"], match["sign"], float(match["number"]))


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
}


@dataclass(frozen=True)
class TableOptions:
    """Columns of a table of interactions and the condition for a positive row.

    Args:
        user_col: Column of user ids (default: detected by a common name).
        item_col: Column of item ids (default: detected by a common name).
        rating_col: Column that ``rating`` in ``positive_if`` refers to if no column has
            that name (default: detected by a common name).
        time_col: Column of timestamps, numbers or ISO 8601, for splits that need them
            (default: detected by a common name).
        positive_if: Condition for a positive row, e.g. ``rating >= 4`` (default: all
            rows are positive).
    """

    user_col: str | None = None
    item_col: str | None = None
    rating_col: str | None = None
    time_col: str | None = None
    positive_if: str | None = None


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
        return self.positive.columns


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
    finder = _Finder(path, names)
    user = finder.find("user", options.user_col)
    item = finder.find("item", options.item_col)
    if user == item:
        raise ConfigError(
            f"user_col and item_col are both '{user}': choose two columns"
        )
    time = finder.find("time", options.time_col) if needs_time else None
    positive = _positive(finder, options)
    ids = sorted({user, item} & {*positive.columns})
    if ids:
        raise ConfigError(
            f"positive_if compares the id column '{ids[0]}': use another column"
        )
    return Columns(user, item, time, positive)


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
    """Warn if a table has ratings but ``positive_if`` is not set.

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
        finder.check(options.rating_col, "--rating-col")
        ratings = [options.rating_col]
    if ratings:
        warnings.warn(
            f"{path}: every row counts as positive, whatever its '{ratings[0]}': set a "
            f"condition with --positive-if '{ratings[0]} >= 4' (data.positive_if)",
            DataWarning,
            stacklevel=2,
        )


@dataclass(frozen=True)
class _Finder:
    path: Path
    names: Sequence[str]

    def find(self, role: str, chosen: str | None) -> str:
        """Return the chosen column, or the only one with a common name."""
        if chosen is not None:
            return self.check(chosen, f"--{role}-col")
        found = self.common(role)
        if len(found) == 1:
            return found[0]
        actual = f"several, {_listed(found)}" if found else "none"
        raise DataError(
            f"{self.path}:1: expected one {role} column, found {actual}, among "
            f"{_listed(self.names)}: set it with --{role}-col (data.{role}_col)"
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


def _plain(name: str) -> str:
    return re.sub(r"[\s._-]", "", name).casefold()


def _listed(names: Collection[str]) -> str:
    shown = [repr(name[:40]) for name in list(names)[:12]]
    return ", ".join(shown + ["..."] * (len(names) > len(shown)))
