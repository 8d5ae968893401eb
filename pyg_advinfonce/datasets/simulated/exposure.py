"""Exposure and clicks of the simulator: by popularity and uniformly."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.datasets.base import Ids, distinct_pairs
from pyg_advinfonce.datasets.simulated.truth import Preference, Size
from pyg_advinfonce.graph import pair_keys

Judge = Callable[[Ids, Ids], NDArray[np.bool_]]

_MAX_VIEWS = 3.0
_MAX_DRAWS = 2**21
_SLOTS_PER_USER = 8
_ACTIVITY_SCALE = 0.6
_QUALITY_SHOWS = 0.3
_USERS_AT_ONCE = 64


def draw_clicks(
    shape: Size, truth: Preference, popularity_bias: float, rng: np.random.Generator
) -> tuple[Ids, Ids]:
    """Return the clicked pairs of train and of valid (none with a panel)."""
    log_weight = -popularity_bias * np.log(_popularity_rank(truth.quality, rng))
    activity = np.exp(_ACTIVITY_SCALE * rng.standard_normal(shape.num_users))
    num_valid = 0 if shape.panel else shape.num_valid
    num_clicks = shape.num_train + num_valid
    clicks = popularity_log(
        truth.likes,
        log_weight,
        activity,
        num_clicks=num_clicks,
        like_rate=shape.like_rate,
        rng=rng,
    )
    users, start, count = np.unique(clicks[0], return_index=True, return_counts=True)
    kept = start + rng.integers(count)  # one click of every user stays in train
    missing = np.setdiff1d(np.arange(shape.num_users), users)
    forced = _most_shown(truth, missing, log_weight, rng)
    rest = rng.permutation(np.delete(np.arange(clicks.shape[1]), kept))
    valid, train, _ = np.split(rest, [num_valid, num_clicks - shape.num_users])
    kept = np.concatenate([kept, train])
    return np.concatenate([clicks[:, kept], forced], axis=1), clicks[:, valid]


def _popularity_rank(
    quality: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return ranks from 1 ``[I]`` that weakly follow the items' quality."""
    noise = rng.standard_normal(len(quality))
    shown = _QUALITY_SHOWS * quality / quality.std()
    rank = np.empty(len(quality))
    rank[np.argsort(-shown - np.sqrt(1 - _QUALITY_SHOWS**2) * noise)] = np.arange(
        1, len(quality) + 1
    )
    return rank


def _most_shown(
    truth: Preference,
    users: Ids,
    log_weight: NDArray[np.float64],
    rng: np.random.Generator,
) -> Ids:
    """Return for each user one liked item ``[2, N]``, drawn by popularity."""
    chosen = [np.empty(0, dtype=np.int64)]
    for start in range(0, len(users), _USERS_AT_ONCE):
        liked = truth.likes_of(users[start : start + _USERS_AT_ONCE])  # [B, I]
        luck = log_weight + rng.gumbel(size=liked.shape)
        chosen.append(np.where(liked, luck, -np.inf).argmax(axis=1))
    return np.stack([users, np.concatenate(chosen)])


def popularity_log(
    likes: Judge,
    log_weight: NDArray[np.float64],
    activity: NDArray[np.float64],
    *,
    num_clicks: int,
    like_rate: float,
    rng: np.random.Generator,
) -> Ids:
    """Show items by popularity until there are enough clicks.

    An item is shown to a user a Poisson-distributed number of times, in proportion to
    the item's weight and to the user's activity, and clicked if it is liked. No item
    is shown more than three times a user on average.

    Args:
        likes: Says of pairs of ids whether the user likes the item.
        log_weight: ``[I]``, the log of the items' weights.
        activity: ``[U]``, positive.
        num_clicks: The least number of clicks.
        like_rate: About which share of the pairs is liked.
        rng: Where the draws come from.

    Returns:
        Distinct clicked pairs ``[2, E]``, sorted, ``E >= num_clicks``.
    """
    slots = np.repeat(
        np.arange(len(activity)),
        np.rint(_SLOTS_PER_USER * activity / activity.mean()).clip(1).astype(np.int64),
    )
    shown = 1.05 * num_clicks / (like_rate * len(activity))  # distinct items a user
    while True:
        views = _views(log_weight, shown)
        draws = rng.poisson(views * len(activity))
        clicked = [_click(likes, p) for p in _show(draws, slots, rng)]
        clicks = distinct_pairs(np.concatenate(clicked, axis=1))
        if clicks.shape[1] >= num_clicks:
            return clicks
        shown *= min(1.1 * num_clicks / max(clicks.shape[1], 1), 4.0)


def _views(log_weight: NDArray[np.float64], shown: float) -> NDArray[np.float64]:
    """Return the mean views of items by which a user sees so many distinct ones."""
    low, high = -log_weight.max() - 50.0, -log_weight.min() + 50.0
    for _ in range(80):
        middle = (low + high) / 2
        views = _capped(log_weight + middle)
        if -np.expm1(-views).sum() < shown:
            low = middle
        else:
            high = middle
    return _capped(log_weight + high)


def _capped(log_views: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(np.minimum(log_views, np.log(_MAX_VIEWS)))


def _show(draws: Ids, slots: Ids, rng: np.random.Generator) -> Iterator[Ids]:
    """Yield the distinct pairs ``[2, E]`` shown, in portions of whole items."""
    portion = np.cumsum(draws) // _MAX_DRAWS
    for items in np.split(
        np.arange(len(draws)), np.flatnonzero(np.diff(portion, prepend=portion[0]))
    ):
        item = np.repeat(items, draws[items])
        user = slots[rng.integers(len(slots), size=len(item))]
        yield distinct_pairs(np.stack([user, item]))


def _click(likes: Judge, pairs: Ids) -> Ids:
    return pairs[:, likes(pairs[0], pairs[1])]


def uniform_exposure(
    users: Ids,
    items: Ids,
    accept: Judge,
    *,
    num_accepted: int,
    rng: np.random.Generator,
) -> tuple[Ids, Ids]:
    """Show uniformly random pairs, each once, until so many are accepted.

    Returns:
        The pairs that were shown, ``[2, E]``, in the order they were shown, and the
        accepted ones among them, ``[2, num_accepted]``.
    """
    shown = np.empty((2, 0), dtype=np.int64)
    accepted = np.empty(0, dtype=np.bool_)
    while accepted.sum() < num_accepted:
        fresh = _draw_pairs(users, items, 9 * num_accepted, rng)
        shown = _in_order_once(np.concatenate([shown, fresh], axis=1))
        fresh = shown[:, len(accepted) :]
        accepted = np.concatenate([accepted, accept(fresh[0], fresh[1])])
    last = np.flatnonzero(accepted)[num_accepted - 1] + 1
    shown, accepted = shown[:, :last], accepted[:last]
    return shown, shown[:, accepted]


def _draw_pairs(users: Ids, items: Ids, size: int, rng: np.random.Generator) -> Ids:
    return np.stack(
        [users[rng.integers(len(users), size=size)], rng.choice(items, size=size)]
    )


def _in_order_once(pairs: Ids) -> Ids:
    """Drop repeated pairs, keep the order of their first appearance."""
    _, first = np.unique(pair_keys(*pairs), return_index=True)
    first.sort()
    return pairs[:, first]
