"""A missing-not-at-random data set whose truth is known, made on the spot."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.datasets.base import Ids, Processed, ProcessedDataset
from pyg_advinfonce.datasets.simulated.exposure import draw_clicks, uniform_exposure
from pyg_advinfonce.datasets.simulated.truth import SIZES, Preference, Size
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.graph import build_graph, is_among, pair_keys
from pyg_advinfonce.registry import unknown


class Simulated(ProcessedDataset):
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
        clicks = draw_clicks(shape, self.preference, popularity_bias, log)
        graph, self._exposure = _assemble(shape, self.preference, clicks, chance)
        self.processed, self.label = Processed.of(graph, {}), f"simulated:{size}"

    @property
    def test_exposure(self) -> Tensor:
        """The pairs shown at random ``[2, E]``, liked or not; test is among them."""
        return torch.from_numpy(self._exposure)

    def likes(self, user_id: Tensor, item_id: Tensor) -> Tensor:
        """Return whether users truly like items, shown or not.

        Args:
            user_id: Integers, of a shape that broadcasts with the items', ``[B, 1]``.
            item_id: Integers, e.g. ``[B, K]``.

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
        raise ConfigError(f"{name} must be a number, zero or more (got {value!r})")


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
    truth: Preference,
    clicks: tuple[Ids, Ids],
    rng: np.random.Generator,
) -> tuple[HeteroData, Ids]:
    """Return the graph and the pairs that the test has shown."""
    train, valid = clicks
    num_users, num_items = shape.panel or (shape.num_users, shape.num_items)
    users = np.sort(rng.permutation(shape.num_users)[:num_users])
    items = np.sort(rng.permutation(shape.num_items)[:num_items])
    seen = np.sort(pair_keys(*np.concatenate(clicks, axis=1)))
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
    liked = truth.likes(user_id, item_id)
    liked[liked] = ~is_among(pair_keys(user_id[liked], item_id[liked]), seen)
    return liked
