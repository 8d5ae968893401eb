"""Batches of train edges with uniform negatives, drawn without rejection."""

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.graph import num_nodes, ragged_places, train_pairs
from pyg_advinfonce.pairs import Pairs


class EdgeSampler:
    r"""Sampler of train edges with uniform negatives that the user has not seen.

    An epoch has one sample per train pair. With ``user`` sampling, sample ``k`` of the
    shuffled epoch belongs to user ``k % U``, so users occur equally often regardless of
    their activity; the positive is uniform over the user's items. With ``interaction``
    sampling each train pair occurs once.

    Negatives are uniform over the items outside the user's train items, with
    replacement and without rejection: with sorted positives :math:`p_0 < p_1 < \ldots`
    and a uniform rank ``r`` the negative is :math:`r + \#\{k : p_k - k \le r\}`.
    For a rank, a table of each user gives a lower bound of that number, from which a
    count continues: on a CPU this takes a third of the time of a binary search.
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
        self._index_positives(train_pairs(graph), num_nodes(graph)[1])
        if len(self) == 0:
            raise ConfigError(
                f"train.batch_size {batch_size} exceeds the {self.num_samples} train "
                f"pairs: set train.batch_size to {self.num_samples} or less"
            )

    def __len__(self) -> int:
        full, rest = divmod(self.num_samples, self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    @property
    def is_static(self) -> bool:
        """Whether the draws of samples of one size have the same shapes."""
        return self.num_negatives != "all"

    def __iter__(self) -> Iterator[tuple[HeteroData, EdgeBatch]]:
        for sample in self.samples():
            yield self.graph, self.draw(sample)

    def samples(self) -> Sequence[Tensor]:
        """Return an epoch's shuffled sample indices in batches ``[B]``."""
        order = torch.randperm(self.num_samples, device=self._pairs.item.device)
        return order.split(self.batch_size)[: len(self)]

    def draw(self, sample: Tensor) -> EdgeBatch:
        """Draw the batch of sample indices ``[B]``, with negatives."""
        user, pos = self._positives(sample)
        if self.num_negatives == "all":
            none = user.new_empty(user.numel(), 0)
            return EdgeBatch(user, pos, none, seen=self._seen(user))
        return EdgeBatch(user, pos, self._negatives(user, self.num_negatives))

    def _index_positives(self, pairs: Pairs, num_items: int) -> None:
        """Store the pairs, which a graph may share, and what negatives need."""
        self._pairs, self._num_items, degree = pairs, num_items, pairs.degree
        excludes = self.num_negatives != 0 and self.exclude_positives
        usable = (degree > 0) & (degree < num_items) if excludes else degree > 0
        count = degree * usable  # [U]
        self.num_samples = int(count.sum())
        # Users with a usable pair, or the number of usable pairs up to each user.
        by_user = self.sampling == "user"
        self._users = usable.nonzero().view(-1) if by_user else count.cumsum(0)
        self._passed: _Passed | Tensor = pairs.item  # read if negatives are drawn only
        if excludes and self.num_negatives != "all":
            on_cpu = pairs.item.device.type == "cpu"
            self._passed = (_Passed if on_cpu else _keys)(pairs, num_items)

    def _positives(self, sample: Tensor) -> tuple[Tensor, Tensor]:
        if self.sampling == "interaction":
            user = torch.searchsorted(self._users, sample, right=True)
            back = self._users[user] - sample  # from the end of the user's pairs
            return user, self._pairs.item[self._pairs.start[user + 1] - back].long()
        user = self._users[sample % self._users.numel()]  # [B]
        start, degree = self._rows(user)
        return user, self._pairs.item[start + _below(degree)].long()

    def _rows(self, user: Tensor) -> tuple[Tensor, Tensor]:
        """Return the places and numbers of the items of users ``[B]``, int64."""
        start = self._pairs.start[user].long()
        return start, self._pairs.start[user + 1] - start

    def _seen(self, user: Tensor) -> Tensor:
        """Return each edge's pairs with its user's train items, ``[2, M]``."""
        if not self.exclude_positives:
            return user.new_empty(2, 0)
        edge, place = ragged_places(*self._rows(user))
        return torch.stack([edge, self._pairs.item[place].long()])

    def _negatives(self, user: Tensor, number: int) -> Tensor:
        if number == 0:
            return user.new_empty(user.numel(), 0)
        shape = user.numel(), number
        if not self.exclude_positives:
            return torch.randint(self._num_items, shape, device=user.device)
        start, degree = (x.unsqueeze(-1) for x in self._rows(user))  # [B, 1]
        draw = torch.rand(shape, dtype=torch.float64, device=user.device)
        rank = (draw * (self._num_items - degree)).long()
        if isinstance(self._passed, _Passed):
            return self._passed.negatives(start, degree, draw, rank)
        asked = rank + user.unsqueeze(-1) * (self._num_items + 1)
        return rank + torch.searchsorted(self._passed, asked, right=True) - start


_PAIRS_AT_ONCE = 2**17


class _Passed:
    r"""How many of a user's items a negative has passed, for many draws on a CPU.

    A table gives a lower bound, from which a count continues. A user with ``d`` items
    has ``n`` cells; cell ``j`` holds the number for a rank below those of all draws in
    :math:`[j / n, (j + 1) / n)`.
    """

    def __init__(self, pairs: Pairs, num_items: int) -> None:
        degree = pairs.degree
        is_short = len(degree) == 0 or int(degree.max()) < 2**15
        # 4 bytes per pair. With two cells per item few counts continue twice.
        dtype, self.per_item = (torch.int16, 2) if is_short else (torch.int32, 1)
        self.pairs = pairs
        self.table = pairs.item.new_empty(len(pairs.item) * self.per_item, dtype=dtype)
        chunk = pairs.start[:-1] // _PAIRS_AT_ONCE  # [U]
        first = 0
        for size in chunk.unique_consecutive(return_counts=True)[1].tolist():
            self._fill(slice(first, first + size), degree, num_items)
            first += size

    def _fill(self, users: slice, degree: Tensor, num_items: int) -> None:
        low, high = self.pairs.start[[users.start, users.stop]].tolist()
        degree = degree[users]
        start = degree.cumsum(0) - degree

        def of_pair(value: Tensor) -> Tensor:
            return value.repeat_interleave(degree)  # [E]

        place = torch.arange(high - low, device=degree.device) - of_pair(start)
        key = self.pairs.item[low:high] - place  # ranks from here on pass the item
        cells, unseen = of_pair(degree * self.per_item), of_pair(num_items - degree)
        # The first cell whose lowest rank, less one for rounding, is not below the key.
        first = (cells * (key + 1) + unseen - 1) // unseen.clamp(min=1)
        cell = (of_pair(start) * self.per_item + first)[first < cells]
        total = start.new_zeros((high - low) * self.per_item + 1)
        total[1:] = torch.bincount(cell, minlength=len(total) - 1).cumsum(0)
        before = total[start * self.per_item].repeat_interleave(degree * self.per_item)
        part = slice(low * self.per_item, high * self.per_item)
        self.table[part] = total[1:] - before

    def negatives(
        self, start: Tensor, degree: Tensor, draw: Tensor, rank: Tensor
    ) -> Tensor:
        """Return the items ``[B, K]`` of ranks among the user's unseen items.

        Args:
            start: ``[B, 1]`` place of the user's first item.
            degree: ``[B, 1]`` number of its items.
            draw: ``[B, K]`` numbers in [0, 1).
            rank: ``[B, K]`` the draws times the number of unseen items.
        """
        item, count = self.pairs.item, degree * self.per_item
        cell = (draw * count).long().add_(start * self.per_item)
        start, end = start.to(item.dtype), (start + degree).to(item.dtype)
        passed = self.table.index_select(0, cell.view(-1)).view_as(rank)
        place = (passed + start).view(-1)  # [B * K]
        shift = rank.to(item.dtype).sub_(start).view(-1)
        end = end.expand_as(rank).reshape(-1)

        def passes(place: Tensor, shift: Tensor, end: Tensor) -> Tensor:
            known = item.index_select(0, place.clamp(max=len(item) - 1))
            return (known.sub_(place) <= shift).logical_and_(place < end)

        left = passes(place, shift, end).nonzero().view(-1)
        while len(left) > 0:
            at = place.index_select(0, left).add_(1)
            place.index_copy_(0, left, at)
            limits = (x.index_select(0, left) for x in (shift, end))
            left = left[passes(at, *limits)]
        return place.add_(shift).view_as(rank).long()


def _keys(pairs: Pairs, num_items: int) -> Tensor:
    """Return sorted keys ``[E]``: by user, the ranks that pass its items."""
    start, degree = pairs.start[:-1].long(), pairs.degree
    user = torch.arange(len(degree), device=start.device).repeat_interleave(degree)
    place = torch.arange(len(user), device=start.device) - start[user]
    return user * (num_items + 1) + pairs.item - place


def _below(limit: Tensor) -> Tensor:
    """Draw uniform integers in [0, limit - 1], elementwise."""
    draw = torch.rand(limit.shape, dtype=torch.float64, device=limit.device)
    return (draw * limit).long()
