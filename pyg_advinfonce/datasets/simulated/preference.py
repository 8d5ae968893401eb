"""Preferences and sizes of simulated data."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.datasets.base import IntArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

_CHUNK = 2**17
_QUALITY_SCALE = 0.5
_GENEROSITY_SCALE = 0.4
_SAMPLE_SIZE = 300


@dataclass(frozen=True)
class Preference:
    r"""User :math:`u` likes item :math:`i` if :math:`p_u \cdot q_i + b_i > t_u`.

    One random sample of items serves all users. Each user's threshold :math:`t_u` is
    set so that the user likes a given share of this sample, at least one item and never
    all. The shares vary around ``like_rate``.

    Args:
        user: :math:`p`, ``[D, U]``. Columns have length 1; the standard deviation of
            component ``d`` is proportional to :math:`d^{-1/2}` before normalisation.
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
        """Draw random factors and fit the thresholds."""
        scale = np.arange(1, dim + 1, dtype=np.float32)[:, None] ** -0.5  # [D, 1]
        user = rng.standard_normal((dim, num_users), dtype=np.float32) * scale
        user /= np.linalg.norm(user, axis=0)
        item = rng.standard_normal((dim, num_items), dtype=np.float32)
        quality = _QUALITY_SCALE * rng.standard_normal(num_items, dtype=np.float32)
        sampled = rng.permutation(num_items)[:_SAMPLE_SIZE]
        generosity = _GENEROSITY_SCALE * rng.standard_normal(num_users)
        rate = like_rate * np.exp(generosity - _GENEROSITY_SCALE**2 / 2)
        liked = np.rint(rate * len(sampled)).clip(1, len(sampled) - 1)  # [U]
        sample = cls(user, item[:, sampled], quality[sampled], quality[:0])
        threshold = _fit_thresholds(sample, liked.astype(np.int64))
        return cls(user, item, quality, threshold)

    def likes(self, user_id: IntArray, item_id: IntArray) -> Bools:
        """Return which pairs of ids, each ``[N]``, are liked."""
        liked = np.empty(len(user_id), dtype=np.bool_)
        for start in range(0, len(user_id), _CHUNK):
            part = slice(start, start + _CHUNK)
            score = self.scores(user_id[part], item_id[part])
            liked[part] = score > self.threshold[user_id[part]]
        return liked

    def likes_of(self, user_id: IntArray) -> Bools:
        """Return which items the users ``[B]`` like, ``[B, I]``."""
        score = self.scores(user_id[:, None], np.arange(len(self.quality)))
        return score > self.threshold[user_id][:, None]

    def scores(self, user_id: IntArray, item_id: IntArray) -> Floats:
        """Return scores of ids of broadcastable shapes.

        The order of summation is fixed, so that the score of a pair does not depend on
        the other pairs of the call.
        """
        score = self.quality[item_id]
        for p, q in zip(self.user, self.item, strict=True):
            score = score + p[user_id] * q[item_id]
        return score


def _fit_thresholds(sample: Preference, num_liked: IntArray) -> Floats:
    """Return thresholds at which a user likes ``num_liked`` sampled items."""
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
    """Size of a simulated data set.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        num_train: Number of train pairs.
        num_valid: Number of valid pairs.
        num_test: Number of test pairs.
        like_rate: Approximate share of liked pairs.
        dim: Rank of the preferences.
        panel: Numbers of users and items in the unbiased part (default: all). With a
            panel, valid is unbiased, too, and other items are not candidates.
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
