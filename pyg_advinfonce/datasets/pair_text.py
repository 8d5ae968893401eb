"""The text format ``user item item ...``, one user a line, as arrays of pairs."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.errors import DataError

Ids = NDArray[np.int64]

MAX_ROWS = 2**31
"""Ids are rows of a table; below this bound ``user * num_items + item`` is exact."""

_BOM = b"\xef\xbb\xbf"
_INT64_DIGITS = 18


def parse_pairs(
    content: bytes,
    path: Path,
    *,
    num_users: int = MAX_ROWS,
    num_items: int = MAX_ROWS,
) -> Ids:
    """Return the user-item pairs ``[2, E]`` of a text, in its order.

    Args:
        content: The text, in ASCII, with any kind of line end.
        path: Where it comes from, for messages.
        num_users: User ids must be below it.
        num_items: Item ids must be below it.

    Raises:
        DataError: If a word is not an id; it says ``path:line:column``.
    """
    content = content.removeprefix(_BOM)
    tokens = _tokenize(content)
    if tokens is not None:
        values, first = tokens
        pairs = _pair_up(values, first)
        if _below(values[first], num_users) and _below(pairs[1], num_items):
            return pairs
    return _parse_by_line(content, path, num_users, num_items)


def parse_ids(content: bytes, path: Path, *, limit: int = MAX_ROWS) -> Ids:
    """Return the ids ``[N]`` of a text that holds one a line.

    Raises:
        DataError: If a line holds anything else; it says ``path:line:column``.
    """
    content = content.removeprefix(_BOM)
    ids: list[int] = []
    for line, words in _lines(content):
        if len(words) > 1:
            raise DataError(
                f"{path}:{line}:{words[1][0]}: expected one id a line, "
                f"got {len(words)} words"
            )
        ids.extend(_number(word, path, line, column, limit) for column, word in words)
    return np.array(ids, dtype=np.int64)


def _tokenize(content: bytes) -> tuple[Ids, NDArray[np.bool_]] | None:
    """Return all numbers and which are the first of a line; None: look closer."""
    text = np.frombuffer(content, dtype=np.uint8)
    is_digit = (text - ord("0")) < 10  # unsigned: anything below "0" wraps around
    is_break = (text == ord("\n")) | (text == ord("\r"))
    if not (is_digit | is_break | (text == ord(" ")) | (text == ord("\t"))).all():
        return None
    edges = np.flatnonzero(np.diff(is_digit.view(np.int8), prepend=0, append=0))
    starts, ends = edges[::2], edges[1::2]
    if (ends - starts).max(initial=0) > _INT64_DIGITS:
        return None
    line = np.searchsorted(np.flatnonzero(is_break), starts)
    first = np.diff(line, prepend=-1) != 0
    return _decode(text, starts, ends), first


def _decode(text: NDArray[np.uint8], starts: Ids, ends: Ids) -> Ids:
    """Return the numbers that the digits between starts and ends spell."""
    lengths = ends - starts
    values = np.zeros(len(starts), dtype=np.int64)
    for place in range(int(lengths.max(initial=0))):
        long_enough = np.flatnonzero(lengths > place)
        digits = text[ends[long_enough] - 1 - place] - np.uint8(ord("0"))
        values[long_enough] += digits.astype(np.int64) * 10**place
    return values


def _pair_up(values: Ids, first: NDArray[np.bool_]) -> Ids:
    line = np.cumsum(first) - 1
    return np.stack([values[first][line[~first]], values[~first]])  # [2, E]


def _below(ids: Ids, limit: int) -> bool:
    return bool(ids.max(initial=-1) < limit)


def _parse_by_line(content: bytes, path: Path, num_users: int, num_items: int) -> Ids:
    """Parse slowly; a wrong word is known by its line and column."""
    pairs: list[tuple[int, int]] = []
    for line, words in _lines(content):
        limits = [num_users] + [num_items] * len(words)
        user, *items = (
            _number(word, path, line, column, limit)
            for (column, word), limit in zip(words, limits, strict=False)
        )
        pairs.extend((user, item) for item in items)
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T


def _lines(content: bytes) -> Iterator[tuple[int, list[tuple[int, bytes]]]]:
    """Yield the number and the words, with their columns, of lines that have any."""
    for line, text in enumerate(content.splitlines(), start=1):
        words = [(m.start() + 1, m[0]) for m in re.finditer(rb"[^ \t]+", text)]
        if words:
            yield line, words


def _number(word: bytes, path: Path, line: int, column: int, limit: int) -> int:
    if not word.isdigit():
        _refuse(f"{path}:{line}:{column}", "", word)
    digits = word.lstrip(b"0") or b"0"
    if len(digits) > _INT64_DIGITS or int(digits) >= limit:
        _refuse(f"{path}:{line}:{column}", f" below {limit}", word)
    return int(digits)


def _refuse(place: str, bound: str, word: bytes) -> NoReturn:
    text = word.decode("utf-8", errors="replace")
    shown = text if len(text) <= 40 else text[:37] + "..."
    raise DataError(f"{place}: expected a non-negative integer{bound}, got {shown!r}")
