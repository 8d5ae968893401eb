"""Popularity shift: tests with more uniform item popularity than train."""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.datasets.base import IntArray, masked, row_type
from pyg_advinfonce.errors import ConfigError, DataWarning


def popularity_shift(
    pairs: IntArray,
    *,
    gammas: Sequence[float],
    mode: str,
    num_groups: int,
    test_fraction: float,
    rng: np.random.Generator,
) -> dict[str, IntArray]:
    r"""Draw one test per gamma, each from the pairs that the previous ones left.

    Items are sorted by decreasing popularity and cut into groups of equal size. As in
    "Empowering Collaborative Filtering with Principled Adversarial Contrastive Loss"
    (Zhang et al.), group :math:`i` of :math:`G` contributes

    .. math::
        N_i = N_0 \, \gamma^{-(i - 1) / (G - 1)}

    pairs. Gamma 1 makes all groups equally frequent; a large gamma approaches the long
    tail of train. ``exact`` draws that number, rounded, at random without replacement,
    limited by the size of the group. ``notebook`` follows the sample notebook of InvCF
    (docs/methods.md 6.2): each pair of an item with :math:`n > 1` pairs is taken with
    probability :math:`p = n_{max} \gamma^{-(i - 2) / (G - 1)} / n`, at most 1, and the
    pair after a taken one never. The expected number is :math:`n p / (1 + p)`.

    Args:
        pairs: Distinct pairs ``[2, E]``.
        gammas: Ratios of the most to the least popular group, in order.
        mode: ``exact`` or ``notebook``.
        num_groups: ``G``.
        test_fraction: Share of all pairs per test, which determines :math:`N_0` and
            :math:`n_{max}`.
        rng: Random generator.

    Returns:
        The remaining pairs as ``train``, then the tests ``test_gamma_200`` and so on.

    Raises:
        ConfigError: If the items are fewer than the groups or a test is empty.
    """
    number, rest = test_fraction * pairs.shape[1], pairs
    group = popularity_groups(pairs[1], num_groups)
    take = {"exact": _take_exactly, "notebook": _take_as_the_notebook}[mode]
    tests = {}
    for gamma in gammas:
        chosen = take(rest, group, gamma, number, rng)
        tests[f"test_gamma_{gamma:g}"] = masked(rest, chosen)
        rest = masked(rest, ~chosen)
        if not chosen.any():
            raise ConfigError(f"the test of gamma {gamma:g} is empty: use more pairs")
    return {"train": rest, **tests}


def shuffled_rows(number: int, rng: np.random.Generator) -> IntArray:
    """Return the first numbers ``[N]`` in random order, like ``rng.permutation``."""
    rows: IntArray = np.arange(number, dtype=row_type(number))
    rng.shuffle(rows)
    return rows


def popularity_groups(item: IntArray, num_groups: int) -> IntArray:
    """Return the group of each item ``[I]``, 0 for the most popular items.

    The last group includes the remainder.

    Raises:
        ConfigError: If the items are fewer than the groups.
    """
    popularity = np.bincount(item)
    if len(popularity) < num_groups:
        raise ConfigError(
            f"num_groups must be at most the number of items {len(popularity)} "
            f"(got {num_groups})"
        )
    place = np.empty(len(popularity), dtype=np.int64)
    place[np.argsort(-popularity, kind="stable")] = np.arange(len(popularity))
    size = len(popularity) // num_groups
    return np.minimum(place // size, num_groups - 1)


def exact_counts(gamma: float, num_groups: int, number: float) -> IntArray:
    """Return the number of pairs to draw per group ``[G]``."""
    weight = gamma ** -(np.arange(num_groups) / (num_groups - 1))
    wanted: IntArray = np.round(number * weight / weight.sum()).astype(np.int64)
    return wanted


def notebook_probabilities(
    gamma: float, popularity: IntArray, group: IntArray, num_groups: int, number: float
) -> NDArray[np.float64]:
    """Return the probability ``[I]`` that a visited pair of an item is taken.

    ``n_max`` is found by bisection, such that ``number`` pairs are expected.
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
    pairs: IntArray,
    group: IntArray,
    gamma: float,
    number: float,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    of_pair = group.astype(np.int32)[pairs[1]]
    available = np.bincount(of_pair, minlength=int(group.max()) + 1)
    wanted = exact_counts(gamma, len(available), number)
    _warn_if_short(gamma, wanted, available)
    order = shuffled_rows(pairs.shape[1], rng)
    order = order[np.argsort(of_pair[order], kind="stable")]
    chosen = np.zeros(pairs.shape[1], dtype=np.bool_)
    starts = np.cumsum(available) - available
    for start, number in zip(starts, np.minimum(wanted, available), strict=True):
        chosen[order[start : start + number]] = True
    return chosen


def _warn_if_short(gamma: float, wanted: IntArray, available: IntArray) -> None:
    short = wanted > available
    if short.any():
        found = np.minimum(wanted, available).sum()
        warnings.warn(
            f"{short.sum()} of {len(wanted)} groups have fewer pairs than gamma "
            f"{gamma:g} requires: its test has {found:,} pairs instead of "
            f"{wanted.sum():,}",
            DataWarning,
            stacklevel=5,
        )


def _take_as_the_notebook(
    pairs: IntArray,
    group: IntArray,
    gamma: float,
    number: float,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Visit the pairs of each item in order; a taken pair skips the next one."""
    popularity = np.bincount(pairs[1], minlength=len(group))
    share = notebook_probabilities(
        gamma, popularity, group, int(group.max()) + 1, number
    )
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
