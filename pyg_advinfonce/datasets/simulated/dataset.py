"""Simulated data set: missing not at random, with known preferences."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.datasets.base import IntArray, Processed, ProcessedDataset
from pyg_advinfonce.datasets.simulated.exposure import draw_clicks, uniform_exposure
from pyg_advinfonce.datasets.simulated.preference import SIZES, Preference, Size
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.graph import build_graph, is_among
from pyg_advinfonce.keys import pair_keys
from pyg_advinfonce.registry import unknown


class Simulated(ProcessedDataset):
    """Simulated clicks on items shown by popularity (train) or at random (test).

    Preferences follow from latent factors. The log shows items in proportion to
    ``rank ** -popularity_bias``, where the popularity rank is only weakly related to
    how many users like an item. Clicks in the log become train and valid pairs; every
    user has a train pair. The test shows uniformly random pairs and keeps those that
    are liked and not in the log. With size ``kuairec``, valid is drawn like test, and
    both cover a subset of users and items, as in the published data set.

    Args:
        size: ``coat``, ``yahoo``, ``kuairec`` or ``tencent``: numbers of users, items
            and pairs as in the data set of that name.
        popularity_bias: Exponent of the power law; 0 shows all items equally often.
        seed: Seed of all draws. The preferences do not depend on the popularity bias.

    Raises:
        UnknownNameError: If the size is unknown.
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
        preference_rng, log_rng, test_rng = map(
            np.random.default_rng, np.random.SeedSequence(seed).spawn(3)
        )
        self.preference = Preference.draw(
            shape.num_users,
            shape.num_items,
            dim=shape.dim,
            like_rate=shape.like_rate,
            rng=preference_rng,
        )
        clicks = draw_clicks(shape, self.preference, popularity_bias, log_rng)
        graph, self._exposure = _assemble(shape, self.preference, clicks, test_rng)
        self.processed, self.label = Processed.of(graph, {}), f"simulated:{size}"

    @property
    def test_exposure(self) -> Tensor:
        """Pairs shown at random ``[2, E]``, liked or not, including the test pairs."""
        return torch.from_numpy(self._exposure).long()

    def likes(self, user_id: Tensor, item_id: Tensor) -> Tensor:
        """Return whether users like items, shown or not.

        Args:
            user_id: Integers, e.g. ``[B, 1]``.
            item_id: Integers of a broadcastable shape, e.g. ``[B, K]``.

        Returns:
            Booleans of the broadcast shape, on the device of ``user_id``.
        """
        _check_ids("user_id", user_id, SIZES[self.size].num_users)
        _check_ids("item_id", item_id, SIZES[self.size].num_items)
        shape = np.broadcast_shapes(user_id.shape, item_id.shape)
        user, item = (ids.cpu().expand(shape).flatten() for ids in (user_id, item_id))
        liked = self.preference.likes(user.numpy(), item.numpy())
        return torch.from_numpy(liked).view(shape).to(user_id.device)


def _check_number(name: str, value: float) -> None:
    kinds = (int,) if name == "seed" else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 <= value < 2e9:
        raise ConfigError(f"{name} must be a non-negative number (got {value!r})")


def _check_ids(name: str, ids: Tensor, limit: int) -> None:
    if ids.is_floating_point() or ids.dtype == torch.bool:
        raise TypeError(f"{name} must hold integers (got {ids.dtype})")
    if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < limit:
        raise ValueError(
            f"{name} must lie between 0 and {limit - 1} "
            f"(got {int(ids.min())} to {int(ids.max())})"
        )


def _assemble(
    shape: Size,
    preference: Preference,
    clicks: tuple[IntArray, IntArray],
    rng: np.random.Generator,
) -> tuple[HeteroData, IntArray]:
    """Return the graph and the pairs that the test showed."""
    train, valid = clicks
    num_users, num_items = shape.panel or (shape.num_users, shape.num_items)
    users = np.sort(rng.permutation(shape.num_users)[:num_users]).astype(np.int32)
    items = np.sort(rng.permutation(shape.num_items)[:num_items]).astype(np.int32)
    seen = np.concatenate([pair_keys(*pairs) for pairs in clicks])
    seen.sort()
    num_drawn = shape.num_test + (shape.num_valid if shape.panel else 0)
    shown, test = uniform_exposure(
        users,
        items,
        partial(_likes_unseen, preference, seen),
        num_accepted=num_drawn,
        rng=rng,
    )
    del seen  # it may be large
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
    preference: Preference,
    seen: NDArray[np.int64],
    user_id: IntArray,
    item_id: IntArray,
) -> NDArray[np.bool_]:
    """Return which pairs are liked and not among the sorted keys of the log."""
    liked = preference.likes(user_id, item_id)
    pairs = np.stack([user_id[liked], item_id[liked]])
    liked[liked] = ~is_among(pair_keys(*pairs), seen)
    return liked
