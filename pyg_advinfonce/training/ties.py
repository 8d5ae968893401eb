"""Who comes first among equal scores."""

from typing import Literal

import torch
from torch import Tensor

Ties = Literal["lower-id", "optimistic", "pessimistic"]


def favour(scores: Tensor, places: Tensor, ties: Ties) -> Tensor:
    """Move some scores past their equals, and past no others.

    The next number of double precision lies between any two of single precision; what
    is infinite becomes larger than these are, so that there is a next one.

    Args:
        scores: ``[n, C]`` in single precision; ``-inf`` marks what is masked.
        places: Which of the ``n * C`` scores are moved; none of them is masked.
        ties: ``optimistic`` moves them up, ``pessimistic`` down, ``lower-id`` not.
    """
    if ties == "lower-id":
        return scores
    scores = scores.double().clamp_(max=1e300)
    limit = scores.new_tensor(torch.inf if ties == "optimistic" else -torch.inf)
    flat = scores.view(-1)
    flat[places] = flat[places].nextafter(limit)
    return scores
