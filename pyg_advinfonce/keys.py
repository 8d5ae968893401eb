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
    if isinstance(user, np.ndarray | np.generic):
        return user.astype(np.int64, copy=False) * MAX_ROWS + item
    return user.long() * MAX_ROWS + item


def pairs_of(keys: _Rows) -> tuple[_Rows, _Rows]:
    """Return users and items of keys made by :func:`pair_keys`."""
    return keys // MAX_ROWS, keys % MAX_ROWS
