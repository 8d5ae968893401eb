"""Distinct pairs with their times: what there is to divide."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.datasets.pair_text import Ids
from pyg_advinfonce.datasets.split_files import distinct_pairs, pair_keys
from pyg_advinfonce.datasets.tables.logs import Log


@dataclass(frozen=True)
class Interactions:
    """Pairs that a user has once, sorted by user, then item.

    Args:
        pairs: ``[2, E]``.
        duplicates: How many further rows repeated them.
        time: ``[E]``, the time at which each occurred first, where it is known.
    """

    pairs: Ids
    duplicates: int = 0
    time: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, log: Log) -> "Interactions":
        """Merge the rows of a table."""
        if log.time is None:
            pairs = distinct_pairs(log.pairs)
            return cls(pairs, log.pairs.shape[1] - pairs.shape[1])
        keys = pair_keys(log.pairs)
        order = np.lexsort((log.time, keys))
        first = order[np.diff(keys[order], prepend=-1) != 0]
        return cls(log.pairs[:, first], len(keys) - len(first), log.time[first])
