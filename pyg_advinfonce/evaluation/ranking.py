"""Ranking the candidates of a held-out split: masks, chunks and labels."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.errors import ConfigError, NonFiniteLossError, is_out_of_memory
from pyg_advinfonce.evaluation.top_items import Ties, favour, top_items
from pyg_advinfonce.graph import (
    candidate_mask,
    is_among,
    num_nodes,
    pair_keys,
    pairs_of,
    split_edges,
    split_names,
)
from pyg_advinfonce.scorer import EmbeddingScores, Scorer


@dataclass(frozen=True)
class PairPlaces:
    """Pairs of users and candidates, sorted by user.

    Args:
        start: ``[U + 1]`` where each user's pairs begin.
        column: ``[M]`` the candidates' columns, 0 to C - 1.
        width: ``C``, the number of candidates.
    """

    start: Tensor
    column: Tensor
    width: int

    def of(self, user: Tensor) -> Tensor:
        """Return the positions of users' ``[n]`` pairs in their scores ``[n * C]``."""
        start, end = self.start[user], self.start[user + 1]  # [n]
        count = end - start
        row = torch.arange(len(user), device=user.device)
        row = row.repeat_interleave(count)  # [number of pairs]
        shift = start - count.cumsum(0) + count  # [n]
        place = torch.arange(len(row), device=user.device) + shift[row]
        return row * self.width + self.column[place]


# On a CPU a fresh block of 32 MB costs more page faults than scores, but products for
# few users at a time waste the item table: 8 MB, or up to 32 MB to have 256 users.
_FEW_SCORES, _MOST_SCORES, _ENOUGH_USERS = 2**21, 2**23, 256


@dataclass(frozen=True)
class Chunk:
    """Some users, and places in their ``[n, C]`` scores, read row by row.

    Attributes:
        user: ``[n]`` rows of users.
        masked: What they must not be shown.
        favoured: What ties are decided for or against.
    """

    user: Tensor
    masked: Tensor
    favoured: Tensor


class CandidateRanking:
    """Ranks the items that may be listed for any user, in bounded memory.

    Pairs are sorted, distinct :func:`~pyg_advinfonce.graph.pair_keys`.

    Args:
        is_candidate: ``[I]`` bool, the items that may be listed.
        hidden: Pairs that may not.
        num_users: The number of users.
        favoured: Pairs of candidates that ties are decided for or against.
        ties: Who comes first among equal scores.
        chunk_size: Users scored at once; None means at most 32 MB of scores.
    """

    def __init__(
        self,
        is_candidate: Tensor,
        hidden: Tensor,
        num_users: int,
        *,
        favoured: Tensor | None = None,
        ties: Ties = "lower-id",
        chunk_size: int | None = None,
    ) -> None:
        self.num_users, self.num_items = num_users, len(is_candidate)
        self._candidates = is_candidate.nonzero().view(-1)  # [C]
        self.chunk_size = chunk_size or _default_chunk_size(len(self._candidates))
        self._masked = self._places(hidden[is_candidate[pairs_of(hidden)[1]]])
        self._favoured = self._places(hidden[:0] if favoured is None else favoured)
        self._ties = ties

    def chunks(self, user: Tensor) -> Iterator[Chunk]:
        """Divide users ``[N]`` into groups that are scored at once."""
        for part in torch.split(user, self.chunk_size):
            yield Chunk(part, self._masked.of(part), self._favoured.of(part))

    def rank(
        self, scorer: Scorer, k: int, chunks: Iterable[Chunk]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield scores and items ``[n, k]`` of each chunk, the best first.

        A row without ``k`` items to list ends in ``-inf`` and ``-1``; a row with a
        score that is NaN begins with NaN.

        Raises:
            ValueError: If the scores are not those of these users and items.
        """
        if isinstance(scorer, EmbeddingScores):
            self._check_embeddings(scorer)
            scorer = scorer.among(self._candidates)
        buffer = torch.empty(
            0, len(self._candidates), dtype=torch.float, device=self._candidates.device
        )
        for chunk in chunks:
            if len(buffer) < len(chunk.user):
                buffer = buffer.new_empty(len(chunk.user), buffer.size(1))
            scores = buffer[: len(chunk.user)]  # [n, C]
            if isinstance(scorer, EmbeddingScores):
                scorer.scores(chunk.user, out=scores)
            else:
                self._ask(scorer, chunk.user, scores)
            # From here on -inf means masked, and nothing else.
            scores.clamp_(min=torch.finfo(scores.dtype).min)
            scores.view(-1).index_fill_(0, chunk.masked, -torch.inf)
            decided = favour(scores, chunk.favoured, self._ties)
            value, column = top_items(decided, k)
            item = self._candidates[column.clamp(min=0)]
            yield value, item.masked_fill(column < 0, -1)

    def _check_embeddings(self, scorer: EmbeddingScores) -> None:
        found = len(scorer.z_user), len(scorer.z_item)
        if found != (self.num_users, self.num_items):
            raise ValueError(
                f"expected embeddings of {self.num_users} users and {self.num_items} "
                f"items (got {found[0]} and {found[1]})"
            )

    @torch.no_grad()
    def _ask(self, scorer: Scorer, user: Tensor, out: Tensor) -> None:
        """Write a scorer's scores of the candidates, which are its own to keep."""
        # It answers for all items, which may be many more than the candidates.
        at_once = _default_chunk_size(self.num_items)
        for part, place in zip(user.split(at_once), out.split(at_once), strict=True):
            found, expected = scorer.scores(part), (len(part), self.num_items)
            if found.shape != expected:
                raise ConfigError(
                    f"expected scores of {expected[0]} users and {expected[1]} items, "
                    f"{list(expected)} (got {list(found.shape)})"
                )
            if self.num_items > len(self._candidates):
                found = found[:, self._candidates.to(found.device)]
            place.copy_(found)

    def _places(self, keys: Tensor) -> PairPlaces:
        user, item = pairs_of(keys)
        bounds = torch.arange(self.num_users + 1, device=keys.device)
        start = torch.searchsorted(user, bounds)  # [U + 1]
        column = torch.searchsorted(self._candidates, item)
        return PairPlaces(start, column, len(self._candidates))


def _default_chunk_size(num_candidates: int) -> int:
    width = max(1, num_candidates)
    return max(1, _FEW_SCORES // width, min(_ENOUGH_USERS, _MOST_SCORES // width))


class SplitRanking:
    """One split of a graph, ready to be ranked on one device.

    The rules are those of :class:`~pyg_advinfonce.evaluation.Evaluator`. All
    that does not depend on scores is computed here, once.

    Args:
        graph: The user-item graph with its splits.
        split: The split to rank.
        strict: Also mask pairs of other splits that are positives of this one.
        ties: Who comes first among equal scores.
        chunk_size: Users scored at once; None means at most 32 MB of scores. Halved,
            with a warning, where memory does not suffice.
        device: Where users are ranked.
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
        self.split = split
        is_candidate = candidate_mask(graph).to(device)  # [I]
        given = _distinct_pairs(graph, [split], device)
        hidden = _distinct_pairs(graph, _hidden_splits(graph, split), device)
        labels = given[~is_among(given, hidden)] if strict else given
        labels = labels[is_candidate[pairs_of(labels)[1]]]
        self._set_labels(given, labels)
        hidden = hidden[~is_among(hidden, labels)]
        self._ranking = CandidateRanking(
            is_candidate,
            hidden,
            num_nodes(graph)[0],
            favoured=labels,
            ties=ties,
            chunk_size=chunk_size,
        )
        self._own_chunks = list(self._ranking.chunks(self.user))

    def _set_labels(self, given: Tensor, labels: Tensor) -> None:
        user, item = pairs_of(labels)
        self.user, row = torch.unique(user, return_inverse=True)
        self.label_index = torch.stack([row, item])  # [2, P]
        num_given = len(torch.unique(pairs_of(given)[0]))
        self.counts = {
            "users": len(self.user),
            "positives": len(labels),
            "skipped_users": num_given - len(self.user),
            "dropped_positives": len(given) - len(labels),
        }

    def rank(self, scorer: Scorer, k: int, user: Tensor | None = None) -> Tensor:
        """Return the best item ids ``[N, k]`` of some users (default: all evaluated).

        Raises:
            NonFiniteLossError: If a score is NaN.
        """
        value, item = self._best_that_fit(scorer, k, user)  # [N, k]
        ranked = self.user if user is None else user
        self._check_numbers(ranked[value[:, 0].isnan()])
        return item

    def _best_that_fit(
        self, scorer: Scorer, k: int, user: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Rank fewer users at once from now on, where memory does not suffice."""
        ranked, ranking = self.user if user is None else user, self._ranking
        while True:
            chunks = self._own_chunks if user is None else ranking.chunks(user)
            at_once = min(ranking.chunk_size, len(ranked))
            try:
                best = list(ranking.rank(scorer, k, chunks))
                return torch.cat([v for v, _ in best]), torch.cat([i for _, i in best])
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or at_once <= 1:
                    raise
            self._shrink_chunks(at_once // 2)

    def _shrink_chunks(self, size: int) -> None:
        self._ranking.chunk_size = size
        self._own_chunks = list(self._ranking.chunks(self.user))
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


def _hidden_splits(graph: HeteroData, split: str) -> list[str]:
    if split == "train":
        return []
    others = [name for name in split_names(graph) if name != split]
    return ["train"] if split == "valid" else ["train", *others]


def _distinct_pairs(
    graph: HeteroData, splits: Sequence[str], device: torch.device
) -> Tensor:
    """Return the splits' pairs as sorted, distinct keys."""
    keys = [torch.empty(0, dtype=torch.long, device=device)]
    keys += [pair_keys(*split_edges(graph, name).to(device)) for name in splits]
    unique: Tensor = torch.unique(torch.cat(keys))
    return unique
