"""Comparisons of one table, corrected for their number."""

import math
from collections.abc import Sequence
from typing import Any

from pyg_advinfonce.analysis.compare import Comparison
from pyg_advinfonce.analysis.holm import holm


def corrected(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Return each comparison JSON-ready, with p-values as they are and by Holm.

    The correction is over all of them, that of seeds and that of users apart.
    """
    by_seeds = holm([comparison.by_seeds.p for comparison in comparisons])
    by_users = holm([comparison.by_users.p for comparison in comparisons])
    return [
        {
            "difference": _known(comparison.difference),
            "p_seeds": _known(comparison.by_seeds.p),
            "p_seeds_holm": _known(seeds),
            "p_users": _known(comparison.by_users.p),
            "p_users_holm": _known(users),
            "notes": _notes(comparison),
        }
        for comparison, seeds, users in zip(
            comparisons, by_seeds, by_users, strict=True
        )
    ]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _notes(comparison: Comparison) -> list[str]:
    notes = {
        "by seeds": comparison.by_seeds.note,
        "by users": comparison.by_users.note,
    }
    return [f"{test}: {note}" for test, note in notes.items() if note]
