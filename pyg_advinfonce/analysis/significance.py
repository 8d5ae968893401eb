"""What a test of significance says."""

import math
from dataclasses import dataclass


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
