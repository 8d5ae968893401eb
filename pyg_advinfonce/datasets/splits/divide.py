"""Interactions into train, valid and test, in any of the ways that there are."""

import numpy as np

from pyg_advinfonce.datasets.pair_text import Ids
from pyg_advinfonce.datasets.splits.by_time import latest, leave_last
from pyg_advinfonce.datasets.splits.held_out import held_out
from pyg_advinfonce.datasets.splits.interactions import Interactions
from pyg_advinfonce.datasets.splits.popularity_shift import popularity_shift
from pyg_advinfonce.datasets.splits.split_options import SplitOptions
from pyg_advinfonce.errors import ConfigError


def divide(log: Interactions, options: SplitOptions) -> dict[str, Ids]:
    """Return the pairs by split, train and valid first, each sorted.

    Args:
        log: What there is, with times for the splits that need them.
        options: How to divide it.

    Raises:
        ConfigError: If a split would be empty.
    """
    used = options.used
    if options.split == "leave-last":
        splits = leave_last(log.pairs, _times(log))
    elif options.split == "time":
        shares = used["valid_fraction"], used["test_fraction"]
        splits = latest(log.pairs, _times(log), *shares)
    else:
        splits = _drawn(log.pairs, options)
    for name, pairs in splits.items():
        if not pairs.size:
            raise ConfigError(
                f"the split '{options.split}' of {log.pairs.shape[1]:,} pairs leaves "
                f"{name} empty: use more pairs, other fractions or another split"
            )
    return splits


def _drawn(pairs: Ids, options: SplitOptions) -> dict[str, Ids]:
    used, total = options.used, pairs.shape[1]
    rng = np.random.default_rng(used["seed"])
    if options.split == "random":
        is_test = held_out(pairs, round(used["test_fraction"] * total), rng)
        train, tests = pairs[:, ~is_test], {"test": pairs[:, is_test]}
    else:
        names = ("gammas", "mode", "num_groups", "test_fraction")
        tests = popularity_shift(pairs, rng=rng, **{name: used[name] for name in names})
        train = tests.pop("train")
    is_valid = held_out(train, round(used["valid_fraction"] * total), rng)
    return {"train": train[:, ~is_valid], "valid": train[:, is_valid], **tests}


def _times(log: Interactions) -> np.ndarray:
    if log.time is None:
        raise ConfigError("this split needs the times of the interactions")
    return log.time
