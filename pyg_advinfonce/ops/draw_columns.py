"""Random columns of the rows of a matrix, with several backends."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

CHUNK = 2**16  # draws at once: with their rows' masses they fit a CPU cache


def draw_columns(logits: Tensor, number: int, *, backend: str | None = None) -> Tensor:
    """Draw columns per row with replacement, with the softmax as probabilities.

    The computation is in float32, so that a seed gives the same columns in any dtype,
    and with every backend.

    Args:
        logits: ``[B, N]`` unnormalised log probabilities.
        number: Number of draws per row.
        backend: ``halving`` (default on CPU; no branch depends on a draw, which a
            processor could not predict) or ``searchsorted`` (default elsewhere).

    Returns:
        ``[B, number]`` columns.

    Raises:
        ValueError: If the backend is unknown.
    """
    name = backend or ("halving" if logits.device.type == "cpu" else "searchsorted")
    if name not in BACKENDS:
        raise ValueError(f"backend must be one of {list(BACKENDS)} (got '{name}')")
    shape = logits.size(0), number
    draw = torch.rand(shape, dtype=torch.float32, device=logits.device)
    return BACKENDS[name](logits, draw)


def _masses(logits: Tensor) -> Tensor:
    """Return the sums of the probabilities up to each column."""
    return logits.float().softmax(-1).cumsum(-1)


def _searchsorted(logits: Tensor, draw: Tensor) -> Tensor:
    mass = _masses(logits)
    place = torch.searchsorted(mass, draw * mass[:, -1:], right=True)
    return place.clamp(max=mass.size(1) - 1)  # NaN logits


def _halving(logits: Tensor, draw: Tensor) -> Tensor:
    """Count per draw the masses that do not exceed it, but the last, by bisection."""
    place = torch.zeros_like(draw, dtype=torch.long)
    size = max(1, CHUNK // max(1, draw.size(1)))
    chunks = zip(*(x.split(size) for x in (logits, draw, place)), strict=True)
    for rows, draws, places in chunks:
        mass = _masses(rows)
        draws.mul_(mass[:, -1:])
        left = mass.size(1) - 1
        while left > 0:
            half = (left + 1) // 2
            middle = mass[:, half - 1 :].gather(1, places)
            places.add_(middle <= draws, alpha=half)
            left -= half
    return place


BACKENDS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "halving": _halving,
    "searchsorted": _searchsorted,
}
