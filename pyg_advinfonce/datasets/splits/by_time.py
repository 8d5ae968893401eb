"""Splits by the times of the interactions."""

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.datasets.pair_text import Ids


def leave_last(pairs: Ids, time: NDArray[np.float64]) -> dict[str, Ids]:
    """Hold out each user's last pair as test and the one before it as valid.

    Users with fewer than three pairs keep all. Of pairs at the same time the one with
    the larger item row counts as later.

    Args:
        pairs: Distinct pairs ``[2, E]``, sorted by user.
        time: ``[E]``.
    """
    user, item = pairs
    order = np.lexsort((item, time, user))
    count = np.bincount(user)[user]
    to_end = np.empty(len(user), dtype=np.int64)
    to_end[order] = np.cumsum(np.bincount(user))[user[order]] - np.arange(len(user)) - 1
    is_test, is_valid = ((to_end == n) & (count >= 3) for n in (0, 1))
    return {
        "train": pairs[:, ~(is_test | is_valid)],
        "valid": pairs[:, is_valid],
        "test": pairs[:, is_test],
    }


def latest(
    pairs: Ids, time: NDArray[np.float64], valid_fraction: float, test_fraction: float
) -> dict[str, Ids]:
    """Hold out the latest pairs of all as test and those before them as valid.

    Pairs at the same time are never divided, so that a split can be larger than asked.

    Args:
        pairs: Distinct pairs ``[2, E]``.
        time: ``[E]``.
        valid_fraction: The share of the pairs that becomes valid.
        test_fraction: The share of the pairs that becomes test.
    """
    is_test = _is_latest(time, test_fraction * len(time))
    is_valid = ~is_test
    is_valid[is_valid] = _is_latest(time[~is_test], valid_fraction * len(time))
    return {
        "train": pairs[:, ~(is_test | is_valid)],
        "valid": pairs[:, is_valid],
        "test": pairs[:, is_test],
    }


def _is_latest(time: NDArray[np.float64], number: float) -> NDArray[np.bool_]:
    """Return which are so many of the latest ``[E]``, or as late as one of these."""
    size = max(1, round(number))
    if size > len(time):
        return np.ones(len(time), dtype=np.bool_)
    cut = np.partition(time, len(time) - size)[len(time) - size]
    found: NDArray[np.bool_] = time >= cut
    return found
