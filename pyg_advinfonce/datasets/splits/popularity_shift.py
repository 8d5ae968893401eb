"""Tests in which items are closer to equally popular than in train."""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.datasets.base import Ids
from pyg_advinfonce.errors import ConfigError, DataWarning


def popularity_shift(
    pairs: Ids,
    *,
    gammas: Sequence[float],
    mode: str,
    num_groups: int,
    test_fraction: float,
    rng: np.random.Generator,
) -> dict[str, Ids]:
    r"""Draw a test for each gamma, each from what the ones before have left.

    Items are sorted by popularity, the most popular first, and cut into groups of equal
    size. As "Empowering Collaborative Filtering with Principled Adversarial Contrastive
    Loss" (Zhang et al.) describes it, group :math:`i` of :math:`G` gives

    .. math::
        N_i = N_0 \, \gamma^{-(i - 1) / (G - 1)}

    pairs: gamma 1 makes all groups alike, a large one comes closer to the long tail of
    train. ``exact`` takes that many, rounded, without replacement and at random in the
    group, but never more than the group has. ``notebook`` does what the sample notebook
    of InvCF does (docs/methods.md 6.2): an item with :math:`n > 1` pairs has each taken
    with the probability :math:`p = n_{max} \gamma^{-(i - 2) / (G - 1)} / n`, at most 1,
    and the pair after one that was taken never, which leaves
    :math:`n p / (1 + p)` to expect.

    Args:
        pairs: Distinct pairs ``[2, E]``.
        gammas: The quotients of the most and the least popular group, in their order.
        mode: ``exact`` or ``notebook``.
        num_groups: ``G``.
        test_fraction: Which share of all pairs each test is; :math:`N_0` and
            :math:`n_{max}` follow from it.
        rng: Draws.

    Returns:
        The tests by name, ``test_gamma_200`` and so on, after the remainder, ``train``.

    Raises:
        ConfigError: If there are fewer items than groups or a test would be empty.
    """
    number, rest = test_fraction * pairs.shape[1], pairs
    group = popularity_groups(pairs[1], num_groups)
    take = {"exact": _take_exactly, "notebook": _take_as_the_notebook}[mode]
    tests = {}
    for gamma in gammas:
        chosen = take(rest, group, gamma, number, rng)
        tests[f"test_gamma_{gamma:g}"], rest = rest[:, chosen], rest[:, ~chosen]
        if not chosen.any():
            raise ConfigError(f"the test of gamma {gamma:g} is empty: too few pairs")
    return {"train": rest, **tests}


def popularity_groups(item: Ids, num_groups: int) -> Ids:
    """Return each item's group from 0 on ``[I]``, the most popular first.

    The last group also has the items that are left over.

    Raises:
        ConfigError: If there are fewer items than groups.
    """
    popularity = np.bincount(item)
    if len(popularity) < num_groups:
        raise ConfigError(
            f"{num_groups} groups need as many items (got {len(popularity)}): choose a "
            "smaller num_groups"
        )
    place = np.empty(len(popularity), dtype=np.int64)
    place[np.argsort(-popularity, kind="stable")] = np.arange(len(popularity))
    size = len(popularity) // num_groups
    return np.minimum(place // size, num_groups - 1)


def exact_profile(gamma: float, num_groups: int, number: float) -> Ids:
    """Return how many pairs each group is to give ``[G]``."""
    weight = gamma ** -(np.arange(num_groups) / (num_groups - 1))
    wanted: Ids = np.round(number * weight / weight.sum()).astype(np.int64)
    return wanted


def notebook_profile(
    gamma: float, popularity: Ids, group: Ids, num_groups: int, number: float
) -> NDArray[np.float64]:
    """Return the probability that a visited pair of each item is taken ``[I]``.

    ``n_max`` is found by bisection, so that as many pairs as wanted are expected.
    """
    weight = gamma ** -((group - 1) / (num_groups - 1))
    several = popularity > 1

    def probability(n_max: float) -> NDArray[np.float64]:
        share = np.minimum(1, n_max * weight / np.maximum(popularity, 1))
        return np.where(several, share, 0.0)

    def surplus(n_max: float) -> float:
        p = probability(n_max)
        return float((popularity * p / (1 + p)).sum()) - number

    low, high = 0.0, float(popularity.max()) * gamma
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if surplus(middle) > 0 else (middle, high)
    return probability(high)


def _take_exactly(
    pairs: Ids, group: Ids, gamma: float, number: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    of_pair = group[pairs[1]]
    available = np.bincount(of_pair, minlength=int(group.max()) + 1)
    wanted = exact_profile(gamma, len(available), number)
    _warn_if_short(gamma, wanted, available)
    order = rng.permutation(pairs.shape[1])
    order = order[np.argsort(of_pair[order], kind="stable")]
    place = np.arange(len(order)) - (np.cumsum(available) - available)[of_pair[order]]
    chosen = np.zeros(pairs.shape[1], dtype=np.bool_)
    chosen[order] = place < wanted[of_pair[order]]
    return chosen


def _warn_if_short(gamma: float, wanted: Ids, available: Ids) -> None:
    short = wanted > available
    if short.any():
        found = np.minimum(wanted, available).sum()
        warnings.warn(
            f"{short.sum()} of {len(wanted)} groups have fewer pairs than gamma "
            f"{gamma:g} wants of them: its test has {found:,} pairs instead of "
            f"{wanted.sum():,}",
            DataWarning,
            stacklevel=5,
        )


def _take_as_the_notebook(
    pairs: Ids, group: Ids, gamma: float, number: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Visit each item's pairs in turn; a pair that is taken hides the one after it."""
    popularity = np.bincount(pairs[1], minlength=len(group))
    share = notebook_profile(gamma, popularity, group, int(group.max()) + 1, number)
    order = np.argsort(pairs[1], kind="stable")
    item = pairs[1, order]
    wins = rng.random(len(item)) < share[item]
    begins = np.diff(item, prepend=-1) != 0
    follows = wins & ~begins & np.concatenate([[False], wins[:-1]])
    place = np.arange(len(item))
    start_of_run = np.maximum.accumulate(np.where(follows, -1, place))
    taken = wins & ((place - start_of_run) % 2 == 0)
    chosen = np.zeros(len(item), dtype=np.bool_)
    chosen[order] = taken
    return chosen
