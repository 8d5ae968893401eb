"""Simulated exposure, by popularity or uniform, and simulated clicks."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.datasets.base import (
    IntArray,
    begins,
    distinct_pairs,
    joined,
    masked,
    pairs_at,
    row_type,
)
from pyg_advinfonce.datasets.simulated.preference import Preference, Size
from pyg_advinfonce.keys import pair_keys

PairPredicate = Callable[[IntArray, IntArray], NDArray[np.bool_]]

_MAX_VIEWS = 3.0
_MAX_DRAWS = 2**18
_SLOTS_PER_USER = 8
_ACTIVITY_SCALE = 0.6
_QUALITY_SHOWS = 0.3
_USERS_AT_ONCE = 8


def draw_clicks(
    shape: Size,
    preference: Preference,
    popularity_bias: float,
    rng: np.random.Generator,
) -> tuple[IntArray, IntArray]:
    """Return the clicked pairs of train and valid; valid is empty with a panel."""
    log_weight = -popularity_bias * np.log(_popularity_rank(preference.quality, rng))
    activity = np.exp(_ACTIVITY_SCALE * rng.standard_normal(shape.num_users))
    num_valid = 0 if shape.panel else shape.num_valid
    num_clicks = shape.num_train + num_valid
    clicks = popularity_log(
        preference.likes,
        log_weight,
        activity,
        num_clicks=num_clicks,
        like_rate=shape.like_rate,
        rng=rng,
    )
    users, start, count = np.unique(clicks[0], return_index=True, return_counts=True)
    kept = start + rng.integers(count)  # one click per user stays in train
    missing = np.setdiff1d(np.arange(shape.num_users), users)
    forced = _liked_by_popularity(preference, missing, log_weight, rng)
    in_train = np.zeros(clicks.shape[1], dtype=np.bool_)
    in_train[kept] = True
    rest = np.flatnonzero(~in_train).astype(row_type(len(in_train)))
    rng.shuffle(rest)  # as rng.permutation, which would copy it
    valid, train, _ = np.split(rest, [num_valid, num_clicks - shape.num_users])
    in_train[train] = True
    train = np.concatenate([masked(clicks, in_train), forced], axis=1)
    return train, np.take(clicks, valid, axis=1)


def _popularity_rank(
    quality: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return popularity ranks ``[I]`` from 1, weakly correlated with quality."""
    noise = rng.standard_normal(len(quality))
    shown = _QUALITY_SHOWS * quality / quality.std()
    rank = np.empty(len(quality))
    rank[np.argsort(-shown - np.sqrt(1 - _QUALITY_SHOWS**2) * noise)] = np.arange(
        1, len(quality) + 1
    )
    return rank


def _liked_by_popularity(
    preference: Preference,
    users: IntArray,
    log_weight: NDArray[np.float64],
    rng: np.random.Generator,
) -> IntArray:
    """Draw one liked item per user by popularity; return pairs ``[2, N]``."""
    chosen = [np.empty(0, dtype=np.int64)]
    for start in range(0, len(users), _USERS_AT_ONCE):
        liked = preference.likes_of(users[start : start + _USERS_AT_ONCE])  # [B, I]
        score = log_weight + rng.gumbel(size=liked.shape)
        chosen.append(np.where(liked, score, -np.inf).argmax(axis=1))
    return np.stack([users, np.concatenate(chosen)]).astype(np.int32)


def popularity_log(
    likes: PairPredicate,
    log_weight: NDArray[np.float64],
    activity: NDArray[np.float64],
    *,
    num_clicks: int,
    like_rate: float,
    rng: np.random.Generator,
) -> IntArray:
    """Show items by popularity until the number of clicks is reached.

    The number of times that an item is shown to a user is Poisson-distributed, in
    proportion to the item's weight and the user's activity. A shown item is clicked if
    it is liked. No item is shown more than three times per user on average.

    Args:
        likes: Returns which pairs of ids are liked.
        log_weight: ``[I]`` logarithms of the items' weights.
        activity: ``[U]`` positive activities of users.
        num_clicks: Minimum number of clicks.
        like_rate: Approximate share of liked pairs.
        rng: Random generator.

    Returns:
        Distinct clicked pairs ``[2, E]``, sorted, ``E >= num_clicks``.
    """
    slots = np.repeat(
        np.arange(len(activity)),
        np.rint(_SLOTS_PER_USER * activity / activity.mean()).clip(1).astype(np.int64),
    )
    shown = 1.05 * num_clicks / (like_rate * len(activity))  # distinct items per user
    while True:
        views = _views(log_weight, shown)
        draws = rng.poisson(views * len(activity))
        clicked = [_clicked_keys(likes, p) for p in _shown_pairs(draws, slots, rng)]
        keys = joined(clicked)
        if len(keys) >= num_clicks:
            keys.sort()
            return pairs_at(keys, np.dtype(np.int32))
        shown *= min(1.1 * num_clicks / max(len(keys), 1), 4.0)


def _views(log_weight: NDArray[np.float64], shown: float) -> NDArray[np.float64]:
    """Return mean views per item at which a user sees ``shown`` distinct items."""
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


def _shown_pairs(
    draws: IntArray, slots: IntArray, rng: np.random.Generator
) -> Iterator[IntArray]:
    """Yield the distinct pairs ``[2, E]`` shown, in chunks of whole items.

    The chunks' size does not change the pairs.
    """
    chunk = np.cumsum(draws) // _MAX_DRAWS
    for items in np.split(
        np.arange(len(draws)), np.flatnonzero(np.diff(chunk, prepend=chunk[0]))
    ):
        item = np.repeat(items, draws[items])
        user = slots[rng.integers(len(slots), size=len(item))]
        yield distinct_pairs(np.stack([user, item]))


def _clicked_keys(likes: PairPredicate, pairs: IntArray) -> NDArray[np.int64]:
    return pair_keys(*masked(pairs, likes(pairs[0], pairs[1])))


def uniform_exposure(
    users: IntArray,
    items: IntArray,
    accept: PairPredicate,
    *,
    num_accepted: int,
    rng: np.random.Generator,
) -> tuple[IntArray, IntArray]:
    """Show uniformly random distinct pairs until ``num_accepted`` are accepted.

    Returns:
        The pairs shown, ``[2, E]``, in their order, and the accepted ones among them,
        ``[2, num_accepted]``.
    """
    keys = np.empty(0, dtype=np.int64)
    accepted = np.empty(0, dtype=np.bool_)
    while accepted.sum() < num_accepted:
        keys = _drawn_keys(keys, users, items, 9 * num_accepted, rng)
        fresh = pairs_at(keys[len(accepted) :], np.dtype(np.int32))
        accepted = np.concatenate([accepted, accept(fresh[0], fresh[1])])
        del fresh
    last = np.flatnonzero(accepted)[num_accepted - 1] + 1
    shown = pairs_at(keys[:last], np.dtype(np.int32))
    return shown, masked(shown, accepted[:last])


def _drawn_keys(
    known: NDArray[np.int64],
    users: IntArray,
    items: IntArray,
    size: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw pairs; return their keys after the known ones, each where it is first."""
    drawn: IntArray = np.stack(
        [ids[rng.integers(len(ids), size=size)] for ids in (users, items)]
    )
    keys = np.concatenate([known, pair_keys(*drawn)])
    del drawn
    order = keys.argsort(kind="stable")
    is_first = np.empty(len(keys), dtype=np.bool_)
    is_first[order] = begins(keys[order])
    return keys[is_first]
