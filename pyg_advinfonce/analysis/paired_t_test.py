"""The paired t-test."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from pyg_advinfonce.analysis.significance import Significance

FEW = 6
RELATIVE_PRECISION = 1e-12


def paired_t_test(first: Sequence[float], second: Sequence[float]) -> Significance:
    """Test whether the mean difference of pairs is 0, two-sided.

    The pairs are seeds as a rule: two losses that start from the same embeddings.

    Args:
        first: A value a pair.
        second: The other value of each pair.

    Returns:
        p; 1 where all pairs are equal, NaN with the reason where there are not as many
        values or fewer than two, one is missing, or all differ by the same amount.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape:
        return Significance.unknown(f"no pairs: {len(a)} and {len(b)} values")
    if len(a) < 2:
        return Significance.unknown(f"too few pairs for a t-test ({len(a)})")
    if not np.isfinite([a, b]).all():
        return Significance.unknown("a value is missing")
    difference = a - b
    if not difference.any():
        return Significance(1.0, "all pairs are equal")
    if np.ptp(difference) <= RELATIVE_PRECISION * np.abs(difference).max():
        return Significance.unknown("all pairs differ by the same amount")
    note = f"few pairs for a t-test ({len(a)})" if len(a) < FEW else ""
    return Significance(float(stats.ttest_rel(a, b).pvalue), note)
