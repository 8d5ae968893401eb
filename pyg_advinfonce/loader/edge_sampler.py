"""Batches of train edges with uniform negatives, drawn without rejection."""

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.graph import num_nodes, pair_keys, ragged_places, split_edges


class EdgeSampler:
    r"""Sampler of train edges with uniform negatives that the user has not seen.

    An epoch has one sample per train pair. With ``user`` sampling, sample ``k`` of the
    shuffled epoch belongs to user ``k % U``, so users occur equally often regardless of
    their activity; the positive is uniform over the user's items. With ``interaction``
    sampling each train pair occurs once.

    Negatives are uniform over the items outside the user's train items, with
    replacement and without rejection: with sorted positives :math:`p_0 < p_1 < \ldots`
    and a uniform rank ``r`` the negative is :math:`r + \#\{k : p_k - k \le r\}`.
    Users who have seen every item have no negative and are left out.
    Without ``exclude_positives`` negatives are uniform over all items.

    With ``num_negatives="all"`` nothing is drawn: batches have ``seen``, the train
    items of each edge's user, none without ``exclude_positives``.

    Args:
        graph: User-item graph; batches are on its device.
        batch_size: ``B``, number of train pairs per batch.
        num_negatives: ``K``, number of negatives per positive, may be 0; or ``all``.
        sampling: ``user`` or ``interaction``.
        exclude_positives: Never draw a user's train item as its negative.
        drop_last: Drop the last batch if it is not full.

    Raises:
        ConfigError: If an option is out of range or the train pairs do not fill one
            batch.
    """

    def __init__(
        self,
        graph: HeteroData,
        *,
        batch_size: int = 1024,
        num_negatives: int | Literal["all"] = 64,
        sampling: Literal["user", "interaction"] = "user",
        exclude_positives: bool = True,
        drop_last: bool = True,
    ) -> None:
        if sampling not in ("user", "interaction"):
            raise ConfigError(
                f"train.sampling must be 'user' or 'interaction' (got '{sampling}')"
            )
        is_text = isinstance(num_negatives, str)
        is_wrong = num_negatives != "all" if is_text else int(num_negatives) < 0
        if batch_size < 1 or is_wrong:
            raise ConfigError(
                "train.batch_size must be positive and train.num_negatives must not be "
                f"negative (got {batch_size}, {num_negatives!r}): pass a number, or "
                "'all'"
            )
        self.graph, self.sampling = graph, sampling
        self.batch_size, self.num_negatives = batch_size, num_negatives
        self.exclude_positives, self.drop_last = exclude_positives, drop_last
        self._index_positives(split_edges(graph, "train"), *num_nodes(graph))
        if len(self) == 0:
            raise ConfigError(
                f"train.batch_size {batch_size} exceeds the {self.num_samples} train "
                f"pairs: set train.batch_size to {self.num_samples} or less"
            )

    def __len__(self) -> int:
        full, rest = divmod(self.num_samples, self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[HeteroData, EdgeBatch]]:
        for sample in self.samples():
            yield self.graph, self.draw(sample)

    def samples(self) -> Sequence[Tensor]:
        """Return an epoch's shuffled sample indices in batches ``[B]``."""
        order = torch.randperm(self.num_samples, device=self._item.device)
        return order.split(self.batch_size)[: len(self)]

    def draw(self, sample: Tensor) -> EdgeBatch:
        """Draw the batch of sample indices ``[B]``, with negatives."""
        user, pos = self._positives(sample)
        if self.num_negatives == "all":
            none = user.new_empty(user.numel(), 0)
            return EdgeBatch(user, pos, none, seen=self._seen(user))
        return EdgeBatch(user, pos, self._negatives(user, self.num_negatives))

    def _index_positives(self, edges: Tensor, num_users: int, num_items: int) -> None:
        """Store the pairs by user, and the keys from which negatives are computed."""
        device = edges.device
        order = pair_keys(*edges).argsort()
        user, item = edges[:, order]  # [E], sorted by user, then by item
        degree = torch.bincount(user, minlength=num_users)  # [U]
        excludes = self.num_negatives != 0 and self.exclude_positives
        usable = degree[user] < num_items if excludes else degree[user] > 0
        self._user, self._item = user[usable], item[usable]
        self.num_samples = self._user.numel()
        self._degree = torch.bincount(self._user, minlength=num_users)
        self._start = self._degree.cumsum(0) - self._degree  # [U]
        self._active = self._degree.nonzero().view(-1)  # users with a usable pair
        place = torch.arange(self.num_samples, device=device) - self._start[self._user]
        self._width, self._num_items = num_items + 1, num_items
        small = num_users * self._width < torch.iinfo(torch.int32).max
        self._key_type = torch.int32 if small else torch.int64
        keys = self._user * self._width + self._item - place
        self._keys = keys.to(self._key_type)  # [E], sorted

    def _positives(self, sample: Tensor) -> tuple[Tensor, Tensor]:
        if self.sampling == "interaction":
            return self._user[sample], self._item[sample]
        user = self._active[sample % self._active.numel()]  # [B]
        place = _below(self._degree[user])
        return user, self._item[self._start[user] + place]

    def _seen(self, user: Tensor) -> Tensor:
        """Return each edge's pairs with its user's train items, ``[2, M]``."""
        if not self.exclude_positives:
            return user.new_empty(2, 0)
        edge, place = ragged_places(self._start[user], self._degree[user])
        return torch.stack([edge, self._item[place].long()])

    def _negatives(self, user: Tensor, number: int) -> Tensor:
        if number == 0:
            return user.new_empty(user.numel(), 0)
        if not self.exclude_positives:
            shape = user.numel(), number
            return torch.randint(self._num_items, shape, device=user.device)
        unseen = (self._num_items - self._degree[user]).unsqueeze(-1)  # [B, 1]
        rank = _below(unseen.expand(-1, number))  # [B, K]
        asked = (rank + (user * self._width).unsqueeze(-1)).to(self._key_type)
        passed = torch.searchsorted(self._keys, asked, right=True)
        return rank + passed - self._start[user].unsqueeze(-1)


def _below(limit: Tensor) -> Tensor:
    """Draw uniform integers in [0, limit - 1], elementwise."""
    draw = torch.rand(limit.shape, dtype=torch.float64, device=limit.device)
    return (draw * limit).long()
