"""The text format of raw ids: one a line, the first line is row 0."""

import re
from pathlib import Path

import numpy as np

from pyg_advinfonce.datasets.pair_text import Ids
from pyg_advinfonce.errors import DataError

IdList = Ids | list[str]
"""Raw ids by row: integers ``[N]``, or strings."""

_INTEGER = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def is_integer_id(text: str) -> bool:
    """Return whether a text is an integer from 0 to 2**63 - 1, without zeros before."""
    return bool(_INTEGER.fullmatch(text)) and int(text) < 2**63


def is_printable_id(text: str) -> bool:
    """Return whether a text is an id that fits into a line."""
    return bool(text) and not _CONTROL.search(text)


def parse_raw_ids(content: bytes, path: Path) -> IdList:
    """Return the ids of a text: integers if all of them are, else strings.

    Raises:
        DataError: If a line is no id or repeats one; it says ``path:line``.
    """
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: expected text in UTF-8") from None
    texts = [line.removesuffix("\r") for line in lines]
    while texts and not texts[-1]:
        texts.pop()
    _check(texts, path)
    if texts and all(map(is_integer_id, texts)):
        return np.array(list(map(int, texts)), dtype=np.int64)
    return texts


def raw_ids_text(ids: IdList) -> str:
    """Return the text of raw ids."""
    return "".join(f"{raw_id}\n" for raw_id in ids)


def _check(texts: list[str], path: Path) -> None:
    if len(set(texts)) == len(texts) and all(map(is_printable_id, texts)):
        return
    seen: set[str] = set()
    for line, text in enumerate(texts, start=1):
        if not is_printable_id(text) or text in seen:
            raise DataError(f"{path}:{line}: expected a new id, got {text[:40]!r}")
        seen.add(text)
