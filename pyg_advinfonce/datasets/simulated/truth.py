"""The true preferences of the simulator, and its sizes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.datasets.base import Ids

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

_CHUNK = 2**20
_QUALITY_SCALE = 0.5
_GENEROSITY_SCALE = 0.4
_YARDSTICK = 300


@dataclass(frozen=True)
class Preference:
    r"""User :math:`u` likes item :math:`i` if :math:`p_u \cdot q_i + b_i > t_u`.

    The threshold :math:`t_u` is such that the user likes a share of a fixed sample of
    items that varies from user to user around ``like_rate``: at least one of them and
    never all.

    Args:
        user: :math:`p`, ``[D, U]``, of unit length; the first dimensions matter most.
        item: :math:`q`, ``[D, I]``.
        quality: :math:`b`, ``[I]``.
        threshold: :math:`t`, ``[U]``.
    """

    user: Floats
    item: Floats
    quality: Floats
    threshold: Floats

    @classmethod
    def draw(
        cls,
        num_users: int,
        num_items: int,
        *,
        dim: int,
        like_rate: float,
        rng: np.random.Generator,
    ) -> "Preference":
        """Draw factors at random and fit the thresholds to them."""
        scale = np.arange(1, dim + 1, dtype=np.float32)[:, None] ** -0.5  # [D, 1]
        user = rng.standard_normal((dim, num_users), dtype=np.float32) * scale
        user /= np.linalg.norm(user, axis=0)
        item = rng.standard_normal((dim, num_items), dtype=np.float32)
        quality = _QUALITY_SCALE * rng.standard_normal(num_items, dtype=np.float32)
        yardstick = rng.permutation(num_items)[:_YARDSTICK]
        generosity = _GENEROSITY_SCALE * rng.standard_normal(num_users)
        rate = like_rate * np.exp(generosity - _GENEROSITY_SCALE**2 / 2)
        liked = np.rint(rate * len(yardstick)).clip(1, len(yardstick) - 1)  # [U]
        sample = cls(user, item[:, yardstick], quality[yardstick], quality[:0])
        threshold = _fit_thresholds(sample, liked.astype(np.int64))
        return cls(user, item, quality, threshold)

    def likes(self, user_id: Ids, item_id: Ids) -> Bools:
        """Return for pairs of ids, each ``[N]``, whether the user likes the item."""
        liked = np.empty(len(user_id), dtype=np.bool_)
        for start in range(0, len(user_id), _CHUNK):
            part = slice(start, start + _CHUNK)
            score = self.scores(user_id[part], item_id[part])
            liked[part] = score > self.threshold[user_id[part]]
        return liked

    def likes_of(self, user_id: Ids) -> Bools:
        """Return for a few users ``[B]`` which items they like, ``[B, I]``."""
        score = self.scores(user_id[:, None], np.arange(len(self.quality)))
        return score > self.threshold[user_id][:, None]

    def scores(self, user_id: Ids, item_id: Ids) -> Floats:
        """Return scores of ids of broadcastable shapes.

        The sum runs in a fixed order, so that a pair's score never depends on the
        pairs it is asked for with.
        """
        score = self.quality[item_id]
        for p, q in zip(self.user, self.item, strict=True):
            score = score + p[user_id] * q[item_id]
        return score


def _fit_thresholds(sample: Preference, num_liked: Ids) -> Floats:
    """Return thresholds with which each user likes so many of the sampled items."""
    num_users, num_items = len(num_liked), len(sample.quality)
    threshold = np.empty(num_users, dtype=np.float32)
    step = max(1, _CHUNK // num_items)
    for start in range(0, num_users, step):
        users = np.arange(start, min(start + step, num_users))
        score = sample.scores(users[:, None], np.arange(num_items))
        score.sort(axis=1)
        threshold[users] = score[users - start, num_items - 1 - num_liked[users]]
    return threshold


@dataclass(frozen=True)
class Size:
    """The shape of a simulated data set.

    Args:
        num_users: The number of users.
        num_items: The number of items.
        num_train: The number of train pairs.
        num_valid: The number of valid pairs.
        num_test: The number of test pairs.
        like_rate: About which share of all pairs is liked.
        dim: The rank of the preferences.
        panel: How many users and items the unbiased part covers (default: all). With
            a panel, valid is unbiased too and other items are not ranked.
    """

    num_users: int
    num_items: int
    num_train: int
    num_valid: int
    num_test: int
    like_rate: float
    dim: int
    panel: tuple[int, int] | None = None


SIZES: Mapping[str, Size] = {
    "coat": Size(290, 295, 1363, 553, 860, 0.12, 8),
    "yahoo": Size(14_382, 1000, 88_684, 36_393, 4671, 0.0865, 8),
    "kuairec": Size(
        7176, 10_728, 1_087_278, 72_392, 144_783, 0.12, 16, panel=(1411, 3327)
    ),
    "tencent": Size(95_709, 41_602, 1_771_533, 295_505, 290_308, 0.12, 16),
}
