"""Numbers as JSON can say them."""

import math
from collections.abc import Mapping


def finite(values: Mapping[str, float]) -> dict[str, float | None]:
    """Replace what JSON cannot say by None."""
    return {k: v if math.isfinite(v) else None for k, v in values.items()}
