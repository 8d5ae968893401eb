"""What Coat and Yahoo!R3 have in common: self-chosen ratings, and a random test."""

import numpy as np

from pyg_advinfonce.datasets.pair_text import Ids

VALID_FRACTION = 0.3


def split_self_selected(
    pairs: Ids, rng: np.random.Generator, *, keeps_items: bool
) -> tuple[Ids, Ids]:
    """Divide pairs 70:30 at random into train and valid pairs.

    A user left without a train pair gets all its valid pairs back, and so does an item
    where ``keeps_items`` says so. The published splits show this rule (methods.md 6.2);
    their seed is not known.

    Args:
        pairs: Distinct pairs ``[2, E]``.
        rng: Draws.
        keeps_items: Whether every item keeps a train pair, too.
    """
    is_valid = np.zeros(pairs.shape[1], dtype=np.bool_)
    number = round(VALID_FRACTION * pairs.shape[1])
    is_valid[rng.permutation(pairs.shape[1])[:number]] = True
    for ends in pairs if keeps_items else pairs[:1]:
        has_train = np.zeros(int(ends.max()) + 1, dtype=np.bool_)
        has_train[ends[~is_valid]] = True
        is_valid &= has_train[ends]
    return pairs[:, ~is_valid], pairs[:, is_valid]
