"""Best columns per row, with a fixed order of ties."""

import torch
from torch import Tensor
from torch.nn.functional import pad

# Blocks of 16 columns: taking their maxima costs a fifth of a selection.
_BLOCK, _WORTH_IT = 16, 16


def top_items(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the ``k`` best columns per row, by score, then by lower index.

    If scores are equal, :func:`torch.topk` guarantees neither their order nor which of
    them are among the ``k``. The ``k + 1`` best scores show which rows have ties; the
    items of these rows are selected again.

    Args:
        scores: One row per user; ``-inf`` marks an item that must not be listed.
        k: Number of items to list, at least 1.

    Returns:
        Scores and column indices. A row with fewer than ``k`` items to list is padded
        with ``-inf`` and ``-1``. A row with a NaN starts with NaN; its other values are
        meaningless.

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
    """Return :func:`torch.topk`, with a faster path for wide rows.

    The ``k`` largest scores lie in the ``k`` blocks of columns with the largest maxima:
    a score in another block does not exceed any of these ``k`` maxima.
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
    """Select by lower index, given the lowest selected score ``last`` ``[N, 1]``."""
    above, level = scores > last, scores == last  # [N, I]
    room = width - above.sum(dim=1, keepdim=True)  # [N, 1]
    kept = above | (level & (level.cumsum(dim=1, dtype=torch.int32) <= room))
    item = kept.nonzero()[:, 1].view(-1, width)  # [N, width], ascending
    value, order = scores.gather(1, item).sort(dim=1, descending=True, stable=True)
    return value, item.gather(1, order)
