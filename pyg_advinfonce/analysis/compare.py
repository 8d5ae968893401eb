"""Two runs beside each other."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.analysis.paired_bootstrap import paired_bootstrap
from pyg_advinfonce.analysis.paired_t_test import paired_t_test
from pyg_advinfonce.analysis.significance import Significance
from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.finished import FinishedSeed
from pyg_advinfonce.per_user import load_per_user

Seeds = Sequence[FinishedSeed]


@dataclass(frozen=True)
class Comparison:
    """How a run's metric differs from another's.

    Attributes:
        difference: Of the means over seeds; NaN where a value is missing.
        by_seeds: The paired t-test over the seeds that both have.
        by_users: The paired bootstrap over users, of their means over seeds.
    """

    difference: float
    by_seeds: Significance
    by_users: Significance


def compare(base: Seeds, other: Seeds, metric: str) -> Comparison:
    """Set a run's seeds against those of a base, by one metric.

    Raises:
        UnknownNameError: If a run does not know the metric.
    """
    one, two = _values(base, metric), _values(other, metric)
    common = sorted(one.keys() & two.keys())
    return Comparison(
        statistics.fmean(two.values()) - statistics.fmean(one.values()),
        paired_t_test([two[s] for s in common], [one[s] for s in common]),
        _by_users(base, other, metric),
    )


def _values(seeds: Seeds, metric: str) -> dict[int, float]:
    found = {seed.seed: seed.value(metric) for seed in seeds}
    return {seed: math.nan if v is None else v for seed, v in found.items()}


def _by_users(base: Seeds, other: Seeds, metric: str) -> Significance:
    try:
        one, two = _user_means(base, metric), _user_means(other, metric)
    except CheckpointError as error:
        return Significance.unknown(str(error))
    if not np.array_equal(one[0], two[0]):
        return Significance.unknown("the runs ranked different users")
    return paired_bootstrap(two[1], one[1])


def _user_means(seeds: Seeds, metric: str) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return the users and what each got in the mean over seeds."""
    found = [load_per_user(seed.folder, metric) for seed in seeds]
    users = found[0][0]
    if not all(np.array_equal(users, other) for other, _ in found):
        run = seeds[0].folder.parent
        raise CheckpointError(f"the seeds of {run} ranked different users")
    values = np.array([value for _, value in found], np.float64)  # [seeds, users]
    return users, values.mean(axis=0)
