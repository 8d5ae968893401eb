"""User-item pairs as numbers of 64 bits, of numpy arrays or of tensors."""

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

MAX_ROWS = 2**31
"""Upper bound of user and item rows, so that a pair fits into an int64."""

_Rows = TypeVar("_Rows", "Tensor", NDArray[np.int64])


def pair_keys(user: _Rows, item: _Rows) -> _Rows:
    """Return one int64 key per user-item pair, ordered by user, then item.

    Args:
        user: Integer tensor or array of rows below :data:`MAX_ROWS`.
        item: The same, of a broadcastable shape.
    """
    keys: _Rows
    if isinstance(user, np.ndarray | np.generic):
        keys = np.multiply(user, MAX_ROWS, dtype=np.int64)
    else:
        keys = user.long() * MAX_ROWS
    if keys.shape != item.shape:
        return keys + item
    keys += item  # in place: all pairs of a graph may be in it
    return keys


def pairs_of(keys: _Rows) -> tuple[_Rows, _Rows]:
    """Return users and items of keys made by :func:`pair_keys`."""
    return keys // MAX_ROWS, keys % MAX_ROWS
