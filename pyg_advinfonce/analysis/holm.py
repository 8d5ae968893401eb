"""Holm's correction."""

from collections.abc import Sequence

import numpy as np


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
