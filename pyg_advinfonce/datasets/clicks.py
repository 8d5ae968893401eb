"""The simulator's log: clicks on items that were shown by popularity."""

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.datasets.exposure import popularity_log
from pyg_advinfonce.datasets.pair_text import Ids
from pyg_advinfonce.datasets.preference import Preference
from pyg_advinfonce.datasets.simulated_size import Size

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
