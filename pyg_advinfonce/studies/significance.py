"""Paired significance tests and the Holm correction."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def holm(p: Sequence[float]) -> list[float]:
    r"""Adjust p-values so that the chance of any false discovery among them is bounded.

    With :math:`p_{(1)} \leq \ldots \leq p_{(m)}` the sorted values,

    .. math::
        \tilde p_{(i)} = \max_{j \leq i} \min(1, (m - j + 1)\, p_{(j)})

    (Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979).

    Args:
        p: One p-value per comparison; NaN stays NaN and does not count.
    """
    values = np.asarray(p, np.float64)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted = values.copy()
    adjusted[order] = np.maximum.accumulate(np.minimum(1, factors * values[order]))
    return [float(value) for value in adjusted]


@dataclass(frozen=True)
class Significance:
    """The outcome of a two-sided test.

    Attributes:
        p: The probability of a difference as large by chance; NaN if the values do not
            allow the test.
        note: The reason for a missing p, or a caveat; else empty.
    """

    p: float
    note: str = ""

    @classmethod
    def unknown(cls, reason: str) -> "Significance":
        """Return the outcome of a test that cannot be made."""
        return cls(math.nan, reason)


Values = Sequence[float] | NDArray[np.floating]


def _differences(
    first: Values, second: Values, test: str
) -> NDArray[np.float64] | Significance:
    """Return the pairs' differences, or the outcome if no test is needed."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape:
        return Significance.unknown(f"no pairs: {len(a)} and {len(b)} values")
    if len(a) < 2:
        return Significance.unknown(f"too few pairs for {test} ({len(a)})")
    if not np.isfinite([a, b]).all():
        return Significance.unknown("a value is missing")
    difference = a - b
    return difference if difference.any() else Significance(1.0, "all pairs are equal")


MOST_DRAWS = 2**22  # at once, 32 MB
ROUNDING = 1e-9


def paired_bootstrap(
    first: Values,
    second: Values,
    *,
    samples: int = 5000,
    seed: int = 0,
) -> Significance:
    r"""Test whether the mean difference of pairs is 0, two-sided, nonparametric.

    The pairs are usually users. With :math:`\bar d` the mean difference and
    :math:`\bar d_s` that of a sample of pairs, drawn with replacement,

    .. math::
        p = \frac{1 + \#\{s: |\bar d_s - \bar d| \geq |\bar d|\}}{1 + S}

    (Efron and Tibshirani, An Introduction to the Bootstrap, 16.4). Neither the order of
    the pairs nor that of the two sides matters.

    Args:
        first: One value per pair.
        second: The other value of each pair.
        samples: ``S``; the smallest p is ``1 / (S + 1)``.
        seed: The seed of the samples.

    Returns:
        p; 1 if all pairs are equal; NaN with the reason if the numbers of values
        differ, a value is missing or fewer than two pairs are given.
    """
    found = _differences(first, second, "a bootstrap")
    if isinstance(found, Significance):
        return found
    return Significance(_p(found, samples, seed))


def _p(difference: NDArray[np.float64], samples: int, seed: int) -> float:
    """Return p from the samples' means; equal differences are counted together."""
    values, counts = np.unique(difference, return_counts=True)
    if values @ counts < 0:  # the order of the two sides must not matter
        values, counts = -values[::-1], counts[::-1]
    mean = values @ counts / len(difference)
    least = mean - ROUNDING * np.abs(values).max()
    extreme = sum(
        int((np.abs(drawn @ values / len(difference) - mean) >= least).sum())
        for drawn in _samples(counts, samples, np.random.default_rng(seed))
    )
    return (1 + extreme) / (1 + samples)


def _samples(
    counts: NDArray[np.int64], samples: int, generator: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Yield the counts of drawn values, ``[samples, values]`` in chunks."""
    total = int(counts.sum())
    at_once = max(1, MOST_DRAWS // len(counts))
    for start in range(0, samples, at_once):
        size = min(at_once, samples - start)
        yield generator.multinomial(total, counts / total, size=size)


FEW = 6
RELATIVE_PRECISION = 1e-12


def paired_t_test(first: Values, second: Values) -> Significance:
    """Test whether the mean difference of pairs is 0, two-sided.

    The pairs are usually seeds: both losses start from the same embeddings.

    Args:
        first: One value per pair.
        second: The other value of each pair.

    Returns:
        p; 1 if all pairs are equal; NaN with the reason if the numbers of values
        differ, a value is missing, fewer than two pairs are given or all pairs differ
        by the same amount.
    """
    found = _differences(first, second, "a t-test")
    if isinstance(found, Significance):
        return found
    if np.ptp(found) <= RELATIVE_PRECISION * np.abs(found).max():
        return Significance.unknown("all pairs differ by the same amount")
    note = f"few pairs for a t-test ({len(found)})" if len(found) < FEW else ""
    from scipy import stats  # takes longer to import than all else here

    return Significance(float(stats.ttest_1samp(found, 0.0).pvalue), note)
