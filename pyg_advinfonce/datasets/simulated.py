"""A missing-not-at-random data set whose truth is known, made on the spot."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.datasets.description import (
    Summary,
    content_hash,
    describe,
    summarize,
)
from pyg_advinfonce.datasets.exposure import popularity_log, uniform_exposure
from pyg_advinfonce.datasets.pair_text import Ids
from pyg_advinfonce.datasets.preference import Preference
from pyg_advinfonce.datasets.split_files import pair_keys
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.graph import build_graph
from pyg_advinfonce.registry import unknown


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

_ACTIVITY_SCALE = 0.6
_QUALITY_SHOWS = 0.3
_USERS_AT_ONCE = 64


class Simulated:
    """Clicks on items shown by popularity, tested on items shown at random.

    Latent factors decide who likes what. The log shows items in proportion to
    ``rank ** -popularity_bias``, where the popularity rank has little to do with how
    well an item is liked; its clicks are the train and valid pairs, and every user has
    a train pair. The test shows uniformly random pairs and keeps those that are liked
    and not in the log. With size ``kuairec`` valid is of the same kind as test, and
    both cover a part of the users and items, as in the real set.

    Args:
        size: ``coat``, ``yahoo``, ``kuairec`` or ``tencent``: the numbers of users,
            items and pairs of the data set of that name.
        popularity_bias: The exponent of the power law; 0 shows all items alike.
        seed: The same seed gives the same data, and the same preferences for any
            popularity bias.

    Raises:
        UnknownNameError: If there is no such size.
        ConfigError: If the bias or the seed is negative or not a number.
    """

    def __init__(
        self, size: str = "coat", *, popularity_bias: float = 1.0, seed: int = 0
    ) -> None:
        if size not in SIZES:
            raise unknown("size of simulated data", size, SIZES)
        _check_number("popularity_bias", popularity_bias)
        _check_number("seed", seed)
        self.size, self.popularity_bias, self.seed = size, popularity_bias, seed
        shape = SIZES[size]
        truth, log, chance = map(
            np.random.default_rng, np.random.SeedSequence(seed).spawn(3)
        )
        self.preference = Preference.draw(
            shape.num_users,
            shape.num_items,
            dim=shape.dim,
            like_rate=shape.like_rate,
            rng=truth,
        )
        clicks = _draw_log(shape, self.preference, popularity_bias, log)
        self._graph, self._exposure = _assemble(shape, self.preference, clicks, chance)
        self._digest = content_hash(self._graph)

    @property
    def graph(self) -> HeteroData:
        """The user-item graph."""
        return self._graph

    @property
    def fingerprint(self) -> str:
        """Counts and the start of the content's sha256, in one line."""
        return describe(self._graph, f"simulated:{self.size}", self._digest)

    @property
    def test_exposure(self) -> Tensor:
        """The pairs shown at random ``[2, E]``, liked or not; test is among them."""
        return torch.from_numpy(self._exposure)

    def summary(self) -> Summary:
        """Return counts of users, items and pairs, and of what is odd about them."""
        return summarize(self._graph, {})

    def likes(self, user_id: Tensor, item_id: Tensor) -> Tensor:
        """Return whether users truly like items, shown or not.

        Args:
            user_id: Integers, of a shape that broadcasts with the items', ``[B, 1]``.
            item_id: Integers, e.g. ``[B, K]``.

        Returns:
            Booleans of the broadcast shape, on the device of ``user_id``.
        """
        shape = SIZES[self.size]
        _check_ids("user_id", user_id, shape.num_users)
        _check_ids("item_id", item_id, shape.num_items)
        user, item = torch.broadcast_tensors(user_id.cpu(), item_id.cpu())
        liked = self.preference.likes(
            user.reshape(-1).numpy(), item.reshape(-1).numpy()
        )
        return torch.from_numpy(liked).view(user.shape).to(user_id.device)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.fingerprint})"


def _check_number(name: str, value: float) -> None:
    kinds = (int,) if name == "seed" else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 <= value < 2e9:
        raise ConfigError(f"{name} must be a number, zero or more (got {value!r})")


def _check_ids(name: str, ids: Tensor, limit: int) -> None:
    if ids.is_floating_point() or ids.dtype == torch.bool:
        raise TypeError(f"{name} must hold integers (got {ids.dtype})")
    if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < limit:
        raise ValueError(
            f"{name} must lie between 0 and {limit - 1} "
            f"(got {int(ids.min())} to {int(ids.max())})"
        )


def _draw_log(
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
    order = rng.permutation(clicks.shape[1])
    users, first_of_user = np.unique(clicks[0, order], return_index=True)
    missing = np.setdiff1d(np.arange(shape.num_users), users)
    forced = _most_shown(truth, missing, log_weight, rng)
    rest = np.delete(order, first_of_user)[: num_clicks - shape.num_users]
    valid, train = np.split(rest, [num_valid])
    kept = np.concatenate([order[first_of_user], train])
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


def _assemble(
    shape: Size,
    truth: Preference,
    clicks: tuple[Ids, Ids],
    rng: np.random.Generator,
) -> tuple[HeteroData, Ids]:
    """Return the graph and the pairs that the test has shown."""
    train, valid = clicks
    num_users, num_items = shape.panel or (shape.num_users, shape.num_items)
    users = np.sort(rng.permutation(shape.num_users)[:num_users])
    items = np.sort(rng.permutation(shape.num_items)[:num_items])
    seen = np.sort(pair_keys(np.concatenate(clicks, axis=1)))
    num_drawn = shape.num_test + (shape.num_valid if shape.panel else 0)
    shown, test = uniform_exposure(
        users,
        items,
        partial(_likes_unseen, truth, seen),
        num_accepted=num_drawn,
        rng=rng,
    )
    if shape.panel:
        valid, test = np.split(test, [shape.num_valid], axis=1)
    mask = np.zeros(shape.num_items, dtype=np.bool_)  # [I]
    mask[items] = True
    graph = build_graph(
        torch.from_numpy(train),
        num_users=shape.num_users,
        num_items=shape.num_items,
        splits={"valid": torch.from_numpy(valid), "test": torch.from_numpy(test)},
        candidate_mask=torch.from_numpy(mask) if shape.panel else None,
    )
    return graph, shown


def _likes_unseen(
    truth: Preference, seen: Ids, user_id: Ids, item_id: Ids
) -> NDArray[np.bool_]:
    """Judge pairs: liked, and not among the sorted keys of the log."""
    keys = pair_keys(np.stack([user_id, item_id]))
    place = np.searchsorted(seen, keys).clip(max=len(seen) - 1)
    return truth.likes(user_id, item_id) & (seen[place] != keys)
