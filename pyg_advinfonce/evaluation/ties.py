"""Order of equal scores."""

from typing import Literal

import torch
from torch import Tensor

Ties = Literal["lower-id", "optimistic", "pessimistic"]


def favour(scores: Tensor, places: Tensor, ties: Ties) -> Tensor:
    """Move some scores above or below equal scores, but not past different scores.

    The next float64 number lies between any two float32 numbers. Infinite scores become
    finite float64 numbers above all float32 numbers, so that they have a next number.

    Args:
        scores: ``[n, C]`` float32 scores; ``-inf`` marks masked items.
        places: Flat positions of the unmasked scores to move.
        ties: ``optimistic`` moves scores up, ``pessimistic`` down; ``lower-id`` does
            not move them.
    """
    if ties == "lower-id":
        return scores
    scores = scores.double().clamp_(max=1e300)
    limit = scores.new_tensor(torch.inf if ties == "optimistic" else -torch.inf)
    flat = scores.view(-1)
    flat[places] = flat[places].nextafter(limit)
    return scores
