"""Ranking the candidates of a held-out split: masks, chunked scores, exact ties."""

import warnings
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.errors import NonFiniteLossError
from pyg_advinfonce.graph import ITEM, num_nodes, split_edges, split_names
from pyg_advinfonce.out_of_memory import is_out_of_memory
from pyg_advinfonce.training.pair_places import PairPlaces
from pyg_advinfonce.training.ties import Ties, favour
from pyg_advinfonce.training.top_items import top_items

# On a CPU a fresh block of 32 MB costs more page faults than scores, but products for
# few users at a time waste the item table: 8 MB, or up to 32 MB to have 256 users.
_FEW_SCORES, _MOST_SCORES, _ENOUGH_USERS = 2**21, 2**23, 256

# users [n]; positions in their scores [n * C] of what is masked, and of positives
_Chunk = tuple[Tensor, Tensor, Tensor]


class SplitRanking:
    """One split of a graph, ready to be ranked on one device.

    The rules are those of :class:`~pyg_advinfonce.training.evaluator.Evaluator`. All
    that does not depend on embeddings is computed here, once.

    Args:
        graph: The user-item graph with its splits.
        split: The split to rank.
        strict: Also mask pairs of other splits that are positives of this one.
        ties: Who comes first among equal scores.
        chunk_size: Users scored at once; None means at most 32 MB of scores. Halved,
            with a warning, where memory does not suffice.
        device: Where the embeddings live.
    """

    user: Tensor  # [N] users with a positive to find, ascending
    label_index: Tensor  # [2, P] row of `user`, item
    counts: dict[str, int]

    def __init__(
        self,
        graph: HeteroData,
        split: str,
        *,
        strict: bool,
        ties: Ties,
        chunk_size: int | None,
        device: torch.device,
    ) -> None:
        self.split, self.ties = split, ties
        self.num_users, self.num_items = num_nodes(graph)
        is_candidate = _candidate_mask(graph).to(device)  # [I]
        self._candidates = is_candidate.nonzero().view(-1)  # [C]
        given = _pair_keys(graph, [split], device)
        hidden = _pair_keys(graph, _hidden_splits(graph, split), device)
        labels = given[~torch.isin(given, hidden)] if strict else given
        labels = labels[is_candidate[labels % self.num_items]]
        self._set_labels(given, labels)
        hidden = hidden[~torch.isin(hidden, labels)]
        hidden = hidden[is_candidate[hidden % self.num_items]]
        self._masked, self._positive = self._pairs(hidden), self._pairs(labels)
        self._chunk_size = chunk_size or _default_chunk_size(len(self._candidates))
        self._own_chunks = list(self._chunks(self.user))

    def _set_labels(self, given: Tensor, labels: Tensor) -> None:
        self.user, row = torch.unique(labels // self.num_items, return_inverse=True)
        self.label_index = torch.stack([row, labels % self.num_items])  # [2, P]
        num_given = len(torch.unique(given // self.num_items))
        self.counts = {
            "users": len(self.user),
            "positives": len(labels),
            "skipped_users": num_given - len(self.user),
            "dropped_positives": len(given) - len(labels),
        }

    def _pairs(self, keys: Tensor) -> PairPlaces:
        bounds = torch.arange(self.num_users + 1, device=keys.device)
        start = torch.searchsorted(keys, bounds * self.num_items)  # [U + 1]
        column = torch.searchsorted(self._candidates, keys % self.num_items)
        return PairPlaces(start, column, len(self._candidates))

    def _chunks(self, user: Tensor) -> Iterator[_Chunk]:
        for part in torch.split(user, self._chunk_size):
            yield part, self._masked.of(part), self._positive.of(part)

    def rank(
        self, z_user: Tensor, z_item: Tensor, k: int, user: Tensor | None = None
    ) -> Tensor:
        """Return the best item ids ``[N, k]`` of some users (default: all evaluated).

        Raises:
            NonFiniteLossError: If a score is NaN.
        """
        value, column = self._best_that_fit(z_user, z_item, k, user)  # [N, k]
        ranked = self.user if user is None else user
        self._check_numbers(ranked[value[:, 0].isnan()])
        item = self._candidates[column.clamp(min=0)]  # [N, k]
        return item.masked_fill(column < 0, -1)

    def _best_that_fit(
        self, z_user: Tensor, z_item: Tensor, k: int, user: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Rank fewer users at once from now on, where memory does not suffice."""
        while True:
            chunks = self._own_chunks if user is None else self._chunks(user)
            at_once = min(self._chunk_size, len(self.user if user is None else user))
            try:
                return self._best(z_user, z_item, k, chunks)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or at_once <= 1:
                    raise
            self._shrink_chunks(at_once // 2)

    def _shrink_chunks(self, size: int) -> None:
        self._chunk_size = size
        self._own_chunks = list(self._chunks(self.user))
        warnings.warn(
            f"out of memory while ranking split '{self.split}': from now on "
            f"{size} users at once",
            stacklevel=2,
        )

    def _check_numbers(self, wrong: Tensor) -> None:
        """Refuse users whose scores hold a NaN."""
        if len(wrong) == 0:
            return
        first = ", ".join(map(str, wrong[:5].tolist()))
        more = ", ..." if len(wrong) > 5 else ""
        raise NonFiniteLossError(
            f"scores of {len(wrong)} users are NaN while ranking split "
            f"'{self.split}': users {first}{more}"
        )

    def _best(
        self, z_user: Tensor, z_item: Tensor, k: int, chunks: Iterable[_Chunk]
    ) -> tuple[Tensor, Tensor]:
        z_candidate = z_item[self._candidates].float()  # [C, D]
        buffer = z_candidate.new_empty(0, len(z_candidate))
        best = []
        for user, masked, positive in chunks:
            if len(buffer) < len(user):
                buffer = z_candidate.new_empty(len(user), len(z_candidate))  # [n, C]
            scores = buffer[: len(user)]
            torch.mm(z_user[user].float(), z_candidate.T, out=scores)
            # From here on -inf means masked, and nothing else.
            scores.clamp_(min=torch.finfo(scores.dtype).min)
            scores.view(-1).index_fill_(0, masked, -torch.inf)
            best.append(top_items(favour(scores, positive, self.ties), k))
        return torch.cat([v for v, _ in best]), torch.cat([c for _, c in best])


def _default_chunk_size(num_candidates: int) -> int:
    width = max(1, num_candidates)
    return max(1, _FEW_SCORES // width, min(_ENOUGH_USERS, _MOST_SCORES // width))


def _candidate_mask(graph: HeteroData) -> Tensor:
    mask: Tensor | None = graph[ITEM].get("candidate_mask")
    if mask is not None:
        return mask
    device = split_edges(graph, "train").device
    return torch.ones(num_nodes(graph)[1], dtype=torch.bool, device=device)


def _hidden_splits(graph: HeteroData, split: str) -> list[str]:
    if split == "train":
        return []
    others = [name for name in split_names(graph) if name != split]
    return ["train"] if split == "valid" else ["train", *others]


def _pair_keys(
    graph: HeteroData, splits: Sequence[str], device: torch.device
) -> Tensor:
    """Return the splits' pairs as sorted, distinct numbers ``user * I + item``."""
    num_items = num_nodes(graph)[1]
    keys = [torch.empty(0, dtype=torch.long, device=device)]
    for name in splits:
        user, item = split_edges(graph, name).to(device, torch.long)
        keys.append(user * num_items + item)
    unique: Tensor = torch.unique(torch.cat(keys))
    return unique
