"""Which rows of a table count as positive: ``rating >= 4``."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyg_advinfonce.errors import ConfigError

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
