"""A validation split taken off the train pairs, where a folder has none."""

import numpy as np

from pyg_advinfonce.datasets.pair_text import Ids
from pyg_advinfonce.datasets.splits.held_out import held_out
from pyg_advinfonce.errors import ConfigError


def split_off_valid(train: Ids, fraction: float, seed: int) -> tuple[Ids, Ids]:
    """Divide pairs ``[2, E]`` at random into train and valid pairs.

    Every user keeps at least one train pair, so that nobody becomes cold by it; few
    pairs a user can therefore make valid smaller than the fraction.

    Args:
        train: The pairs, each once.
        fraction: The share of the pairs that become valid ones, between 0 and 1.
        seed: The same seed gives the same split.

    Raises:
        ConfigError: If the fraction or seed is out of range or valid would be empty.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"valid_fraction must lie between 0 and 1 (got {fraction})")
    if seed < 0:
        raise ConfigError(f"seed must not be negative (got {seed})")
    number = round(fraction * train.shape[1])
    is_valid = held_out(train, number, np.random.default_rng(seed))
    if not is_valid.any():
        raise ConfigError(
            f"valid_fraction {fraction} of {train.shape[1]} train pairs leaves valid "
            "empty when every user keeps one: use a larger fraction or a valid.txt"
        )
    return train[:, ~is_valid], train[:, is_valid]
