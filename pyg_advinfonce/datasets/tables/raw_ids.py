"""The ids of a data set's input, and the rows that they become."""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyg_advinfonce.datasets.id_text import IdList, is_integer_id, is_printable_id
from pyg_advinfonce.datasets.pair_text import Ids
from pyg_advinfonce.datasets.tables.values import is_number
from pyg_advinfonce.errors import DataError

_DIGITS = re.compile(r"[0-9]+")
_MISSING = frozenset(("", "nan", "none", "null", "<na>", "inf", "-inf"))

Refuse = Callable[[str, str], DataError]
"""From a wrong id and what was expected to the error that says where it occurs."""


class RawIds:
    """Collects the ids of users, or of items, from any number of columns.

    Ids are integers if all that occur are, else strings; 007 is a string. What looks
    like a number and is no integer from zero on, among numbers alone, is an error.
    """

    def __init__(self) -> None:
        self._code: dict[str, int] = {}

    def codes(self, values: pd.Series) -> NDArray[np.int32]:
        """Return a number for each value ``[N]``, in the order of first occurrence."""
        of_value, distinct = pd.factorize(values, use_na_sentinel=False)
        texts = [str(text).strip(" \t\r\n") for text in distinct]
        code = self._code
        found = [code.setdefault(text, len(code)) for text in texts]
        return np.array(found, dtype=np.int32)[of_value]

    def sort(self, refuse: Refuse) -> tuple[IdList, Ids]:
        """Return the ids in their order, and for each code the id's row.

        Args:
            refuse: Makes the error about a wrong id.

        Raises:
            DataError: If an id is missing, holds a control character or is a number
                among numbers but no integer from 0 to 2**63 - 1.
        """
        ids = _check(list(self._code), refuse)
        array = np.array(ids, dtype=np.int64 if isinstance(ids[0], int) else object)
        order = np.argsort(array, kind="stable")
        row = np.empty(len(ids), dtype=np.int64)
        row[order] = np.arange(len(ids))
        in_order = array[order]
        return (in_order if in_order.dtype == np.int64 else in_order.tolist()), row


def _check(texts: list[str], refuse: Refuse) -> list[int] | list[str]:
    for text in texts:
        if text.lower() in _MISSING or not is_printable_id(text):
            raise refuse(text, "an id")
    if all(map(is_integer_id, texts)):
        return [int(text) for text in texts]
    if all(is_number(text) and not _has_padding(text) for text in texts):
        wrong = next(text for text in texts if not is_integer_id(text))
        raise refuse(wrong, "an integer id from 0 to 2**63 - 1")
    return texts


def _has_padding(text: str) -> bool:
    return bool(_DIGITS.fullmatch(text)) and text[0] == "0" and len(text) > 1
