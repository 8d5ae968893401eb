"""Paired significance tests and the Holm correction."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats


def holm(p: Sequence[float]) -> list[float]:
    r"""Adjust p-values so that the chance of any false discovery among them is bounded.

    With :math:`p_{(1)} \leq \ldots \leq p_{(m)}` the sorted values,

    .. math::
        \tilde p_{(i)} = \max_{j \leq i} \min(1, (m - j + 1)\, p_{(j)})

    (Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979).

    Args:
        p: A p-value a comparison; NaN, no comparison, stays NaN and does not count.
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
        note: Why there is no p, or what to bear in mind; else empty.
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
    """Return the pairs' differences, or the outcome of a test that they decide."""
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
    r"""Test whether the mean difference of pairs is 0, two-sided, without a model.

    The pairs are users as a rule. With :math:`\bar d` the mean difference and
    :math:`\bar d_s` that of a sample of pairs, drawn with replacement,

    .. math::
        p = \frac{1 + \#\{s: |\bar d_s - \bar d| \geq |\bar d|\}}{1 + S}

    (Efron and Tibshirani, An Introduction to the Bootstrap, 16.4). The pairs' order
    and which side comes first do not matter.

    Args:
        first: A value a pair.
        second: The other value of each pair.
        samples: ``S``; the smallest p is ``1 / (S + 1)``.
        seed: Decides what is drawn.

    Returns:
        p; 1 where all pairs are equal, NaN with the reason where there are not as many
        values or fewer than two, or one is missing.
    """
    found = _differences(first, second, "a bootstrap")
    if isinstance(found, Significance):
        return found
    return Significance(_p(found, samples, seed))


def _p(difference: NDArray[np.float64], samples: int, seed: int) -> float:
    """Compare the samples' means. Many users differ by nothing: they are one value."""
    values, counts = np.unique(difference, return_counts=True)
    if values @ counts < 0:  # so that it does not matter which side comes first
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
    """Yield how often each value is drawn, ``[samples, values]`` in pieces."""
    total = int(counts.sum())
    at_once = max(1, MOST_DRAWS // len(counts))
    for start in range(0, samples, at_once):
        size = min(at_once, samples - start)
        yield generator.multinomial(total, counts / total, size=size)


FEW = 6
RELATIVE_PRECISION = 1e-12


def paired_t_test(first: Values, second: Values) -> Significance:
    """Test whether the mean difference of pairs is 0, two-sided.

    The pairs are seeds as a rule: two losses that start from the same embeddings.

    Args:
        first: A value a pair.
        second: The other value of each pair.

    Returns:
        p; 1 where all pairs are equal, NaN with the reason where there are not as many
        values or fewer than two, one is missing, or all differ by the same amount.
    """
    found = _differences(first, second, "a t-test")
    if isinstance(found, Significance):
        return found
    if np.ptp(found) <= RELATIVE_PRECISION * np.abs(found).max():
        return Significance.unknown("all pairs differ by the same amount")
    note = f"few pairs for a t-test ({len(found)})" if len(found) < FEW else ""
    return Significance(float(stats.ttest_1samp(found, 0.0).pvalue), note)
