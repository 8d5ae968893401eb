"""Values of tables: numbers, times, missing ones."""

import re
import warnings
from contextlib import suppress

import numpy as np
import pandas as pd
from numpy.typing import NDArray

CHUNK_ROWS = 2**18
"""Rows of a table that are read at once."""

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


def is_number(text: str) -> bool:
    """Return whether a text is a finite number."""
    return bool(_NUMBER.fullmatch(text)) and np.isfinite(float(text))


def is_time(text: str) -> bool:
    """Return whether a text is an ISO 8601 time."""
    return parse_times(pd.Index([text])) is not None


def parse_times(texts: pd.Index) -> NDArray[np.float64] | None:
    """Return ISO 8601 times in seconds since 1970 ``[N]``; None if one is invalid."""
    with warnings.catch_warnings(), suppress(ValueError, TypeError, OverflowError):
        warnings.simplefilter("ignore")
        times = pd.to_datetime(texts, format="ISO8601", utc=True)
        if not times.isna().any():
            return times.as_unit("us").asi8 / 1e6
    return None


def shown(value: object) -> str:
    """Return a value for a message: quoted, escaped and at most 40 characters."""
    text = str(value)
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def got(value: object) -> str:
    """Return a value for a message, and what to do if it is a missing one."""
    is_lost = str(value).strip().lower() in MISSING
    advice = ": drop such rows with --drop-incomplete (data.drop_incomplete)"
    return f"{shown(value)}{advice if is_lost else ''}"


MISSING = frozenset(("", "nan", "none", "null", "<na>", "nat", "inf", "-inf"))
"""Texts that stand for a missing value, in lower case."""


def is_missing(values: pd.Series) -> NDArray[np.bool_]:
    """Return whether a value is missing, per row ``[N]``."""
    code, distinct = pd.factorize(values, use_na_sentinel=False)
    missing = [str(value).strip(" \t\r\n").lower() in MISSING for value in distinct]
    found: NDArray[np.bool_] = np.array(missing, dtype=np.bool_)[code]
    return found


def complete_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a copy of the rows without a missing value."""
    missing = np.zeros(len(frame), dtype=np.bool_)
    for column in frame:
        missing |= is_missing(frame[column])
    return frame[~missing].copy()
