"""The paired bootstrap."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.analysis.significance import Significance

MOST_DRAWS = 2**22  # at once, 32 MB
ROUNDING = 1e-9


def paired_bootstrap(
    first: Sequence[float] | NDArray[np.floating],
    second: Sequence[float] | NDArray[np.floating],
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
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape:
        return Significance.unknown(f"no pairs: {len(a)} and {len(b)} values")
    if len(a) < 2:
        return Significance.unknown(f"too few pairs for a bootstrap ({len(a)})")
    if not np.isfinite([a, b]).all():
        return Significance.unknown("a value is missing")
    difference = a - b
    if not difference.any():
        return Significance(1.0, "all pairs are equal")
    return Significance(_p(difference, samples, seed))


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
