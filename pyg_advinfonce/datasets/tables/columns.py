"""The columns of a table and the condition that makes a row positive."""

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
    """A column, a sign and a number."""

    column: str
    sign: str
    number: float

    def __str__(self) -> str:
        return f"{self.column} {self.sign} {repr(self.number).removesuffix('.0')}"


@dataclass(frozen=True)
class Condition:
    """Comparisons of columns with numbers, all of which must hold."""

    comparisons: tuple[Comparison, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Read ``column >= 4``, or several of them joined by ``and``.

        Raises:
            ConfigError: If the text has another form.
        """
        return cls(tuple(map(_parse, re.split(r"\s+and\s+", text))))

    def __str__(self) -> str:
        """Return the text that :meth:`parse` reads, however it was written."""
        return " and ".join(map(str, self.comparisons))

    @property
    def columns(self) -> list[str]:
        """The columns that are compared, each once."""
        return list(dict.fromkeys(one.column for one in self.comparisons))

    def renamed(self, names: Mapping[str, str]) -> "Condition":
        """Return the condition on columns of other names."""
        return Condition(
            tuple(
                Comparison(names.get(one.column, one.column), one.sign, one.number)
                for one in self.comparisons
            )
        )

    def holds(self, rows: pd.DataFrame) -> NDArray[np.bool_]:
        """Return for each row ``[N]`` whether it counts."""
        found = np.ones(len(rows), dtype=np.bool_)
        for one in self.comparisons:
            compare = _OPERATORS[one.sign]
            found &= compare(rows[one.column].to_numpy(), one.number)
        return found


def _parse(text: str) -> Comparison:
    match = _COMPARISON.fullmatch(text)
    if match is None:
        raise ConfigError(
            "positive_if wants a column, one of >= > <= < == != and a number, e.g. "
            f"'rating >= 4' (got {text!r:.80})"
        )
    return Comparison(match["column"], match["sign"], float(match["number"]))


# Compared without case, blanks, dots, dashes and underscores.
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
    """How a table of interactions is to be read.

    Args:
        user_col: The column of the users (default: found by a common name).
        item_col: The column of the items (default: found by a common name).
        rating_col: The column that ``rating`` in ``positive_if`` means, where no column
            has that name (default: found by a common name).
        time_col: The column of the times, numbers or ISO 8601, for the splits that need
            one (default: found by a common name).
        positive_if: Which rows count, e.g. ``rating >= 4`` (default: all).
    """

    user_col: str | None = None
    item_col: str | None = None
    rating_col: str | None = None
    time_col: str | None = None
    positive_if: str | None = None


@dataclass(frozen=True)
class Columns:
    """The columns of one table by what they are for."""

    user: str
    item: str
    time: str | None
    positive: Condition

    @property
    def numbers(self) -> list[str]:
        """The columns that are compared with numbers."""
        return self.positive.columns


def find_columns(
    path: Path, names: Sequence[str], options: TableOptions, *, needs_time: bool
) -> Columns:
    """Choose a table's columns.

    Args:
        path: The table, for messages.
        names: Its columns.
        options: What was asked for.
        needs_time: Whether the split needs a time.

    Raises:
        DataError: If a column is not there, or the choice is not clear.
        ConfigError: If ``positive_if`` has another form, or is about an id.
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
            f"positive_if compares '{ids[0]}' with a number, but it is an id"
        )
    return Columns(user, item, time, positive)


def _positive(finder: "_Finder", options: TableOptions) -> Condition:
    """Return the condition, in which ``rating`` may stand for the rating column."""
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
    """Warn if a table has ratings and nothing says which of them are positive.

    Args:
        path: The table.
        names: Its columns.
        options: What was asked for.

    Raises:
        DataError: If the column of the ratings is not there.
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
            f"{path}: every row counts as positive, whatever its '{ratings[0]}': "
            f"choose which do by --positive-if '{ratings[0]} >= 4' (data.positive_if)",
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
        said = f"several, {_listed(found)}" if found else "none"
        raise DataError(
            f"{self.path}:1: expected one column of the {role}s, found {said}, among "
            f"{_listed(self.names)}: name it by --{role}-col (data.{role}_col)"
        )

    def check(self, column: str, option: str) -> str:
        if column not in self.names:
            raise DataError(
                f"{self.path}:1: expected the column '{column}' of {option}, found "
                f"{_listed(self.names)}"
            )
        return column

    def common(self, role: str) -> list[str]:
        """Return the columns whose names are common for what the role is."""
        common = _COMMON[role].split()
        return [name for name in self.names if _plain(name) in common]


def _plain(name: str) -> str:
    return re.sub(r"[\s._-]", "", name).casefold()


def _listed(names: Collection[str]) -> str:
    shown = [repr(name[:40]) for name in list(names)[:12]]
    return ", ".join(shown + ["..."] * (len(names) > len(shown)))
