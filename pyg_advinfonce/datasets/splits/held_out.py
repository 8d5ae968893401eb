"""Random pairs to hold out, of which no user loses all."""

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.datasets.pair_text import Ids


def held_out(pairs: Ids, number: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which of the pairs ``[2, E]`` to hold out ``[E]``.

    Every user keeps at least one pair, so that nobody becomes cold by it; few pairs a
    user can therefore make it fewer than the number.
    """
    order = rng.permutation(pairs.shape[1])
    _, first_of_user = np.unique(pairs[0, order], return_index=True)
    free = np.delete(order, first_of_user)
    chosen = np.zeros(pairs.shape[1], dtype=np.bool_)
    chosen[free[:number]] = True
    return chosen
