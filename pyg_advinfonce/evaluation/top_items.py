"""The best columns of every row, ties decided."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

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


# Sixteen columns have one largest score: a pass over them costs a fifth of a selection.
_BLOCK, _WORTH_IT = 16, 16


def top_items(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the ``k`` best columns of every row: by score, then the lower index first.

    :func:`torch.topk` promises no order among equal scores, neither inside its result
    nor at its end. One score more than asked shows which rows hold a tie; only those
    are selected again.

    Args:
        scores: One row a user; ``-inf`` marks an item that must not be listed.
        k: How many items to list, at least one.

    Returns:
        Scores and column indices. A row with fewer than ``k`` items that may be listed
        ends in ``-inf`` and ``-1``. A row that holds a NaN starts with NaN and is
        otherwise meaningless.

    Shapes:
        - **input:** scores :math:`(N, I)`
        - **output:** scores :math:`(N, k)`, columns :math:`(N, k)`
    """
    width = min(k, scores.size(1))
    value, item = _largest(scores, min(k + 1, scores.size(1)))  # [N, width (+ 1)]
    rows = _rows_with_ties(value)
    value, item = value[:, :width], item[:, :width]  # [N, width]
    if len(rows) > 0:
        value[rows], item[rows] = _select_again(scores[rows], value[rows, -1:], width)
    item = item.masked_fill(value == -torch.inf, -1)
    padding = (0, k - width)
    return pad(value, padding, value=-torch.inf), pad(item, padding, value=-1)


def _largest(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return :func:`torch.topk`, of wide rows faster.

    The ``k`` largest scores lie in the ``k`` blocks of columns with the largest maxima:
    what lies in another is no larger than any of these ``k`` maxima.
    """
    num_blocks = scores.size(1) // _BLOCK  # G
    if num_blocks < _WORTH_IT * k:
        value, column = scores.topk(k, dim=1)
        return value, column
    blocked = num_blocks * _BLOCK  # columns g, g + G, g + 2 G, ... are block g
    maxima = scores[:, :blocked].unflatten(1, (_BLOCK, num_blocks)).amax(1)  # [N, G]
    best = maxima.topk(k, dim=1).indices.unsqueeze(1)  # [N, 1, k]
    start = torch.arange(0, blocked, num_blocks, device=scores.device)  # [_BLOCK]
    rest = torch.arange(blocked, scores.size(1), device=scores.device)
    column = torch.cat(
        [(best + start.view(-1, 1)).flatten(1), rest.expand(len(scores), -1)], dim=1
    )  # [N, _BLOCK * k + rest]
    value, place = scores.gather(1, column).topk(k, dim=1)
    return value, column.gather(1, place)


def _rows_with_ties(value: Tensor) -> Tensor:
    tied = (value[:, 1:] == value[:, :-1]) & (value[:, 1:] > -torch.inf)
    return (tied.any(dim=1) & ~value[:, 0].isnan()).nonzero().view(-1)


def _select_again(scores: Tensor, last: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Select, lower index first, given the lowest score ``last`` ``[N, 1]`` to take."""
    above, level = scores > last, scores == last  # [N, I]
    room = width - above.sum(dim=1, keepdim=True)  # [N, 1]
    kept = above | (level & (level.cumsum(dim=1, dtype=torch.int32) <= room))
    item = kept.nonzero()[:, 1].view(-1, width)  # [N, width], ascending
    value, order = scores.gather(1, item).sort(dim=1, descending=True, stable=True)
    return value, item.gather(1, order)
