"""Ranking of candidates: masks, chunks and labels."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.errors import (
    ConfigError,
    NonFiniteLossError,
    counted,
    is_out_of_memory,
)
from pyg_advinfonce.evaluation.ties import Ties, favour
from pyg_advinfonce.graph import (
    candidate_mask,
    is_among,
    num_nodes,
    ragged_places,
    split_edges,
    split_names,
)
from pyg_advinfonce.keys import pair_keys, pairs_of
from pyg_advinfonce.ops import top_items
from pyg_advinfonce.ranks import ranks
from pyg_advinfonce.scorer import EmbeddingScores, Scorer


@dataclass(frozen=True)
class PairPlaces:
    """Pairs of users and candidates, sorted by user.

    Args:
        start: ``[U + 1]`` offsets of the users' pairs.
        column: ``[M]`` columns of the candidates, in [0, C - 1].
        width: ``C``, the number of candidates.
    """

    start: Tensor
    column: Tensor
    width: int

    def of(self, user: Tensor) -> Tensor:
        """Return flat positions of the pairs of users ``[n]`` in scores ``[n, C]``."""
        start = self.start[user]  # [n]
        row, place = ragged_places(start, self.start[user + 1] - start)
        return row * self.width + self.column[place]


# On a CPU, page faults of a new 32 MB block cost more than scoring, but products for
# few users waste memory bandwidth: 8 MB of scores, or up to 32 MB to fit 256 users.
_FEW_SCORES, _MOST_SCORES, _ENOUGH_USERS = 2**21, 2**23, 256


@dataclass(frozen=True)
class Chunk:
    """Some users with flat positions in their ``[n, C]`` scores.

    Attributes:
        user: ``[n]`` row numbers of users.
        masked: Positions of pairs that must not be listed.
        favoured: Positions of pairs that win or lose ties.
    """

    user: Tensor
    masked: Tensor
    favoured: Tensor


class CandidateRanking:
    """Ranking of candidate items for any user, in bounded memory.

    Pairs are sorted, distinct :func:`~pyg_advinfonce.keys.pair_keys`.

    Args:
        is_candidate: ``[I]`` bool, the items that may be listed.
        hidden: Pairs that must not be listed.
        num_users: Number of users.
        favoured: Pairs of candidates that win or lose ties.
        ties: Order of equal scores.
        chunk_size: Number of users scored at once (default: at most 32 MB of scores).
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
        """Divide users ``[N]`` into chunks."""
        for part in torch.split(user, self.chunk_size):
            yield Chunk(part, self._masked.of(part), self._favoured.of(part))

    def rank(
        self, scorer: Scorer, k: int, chunks: Iterable[Chunk]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield scores and items ``[n, k]`` per chunk, best first.

        A row with fewer than ``k`` items is padded with ``-inf`` and ``-1``; a row with
        a NaN score begins with NaN.

        Raises:
            ValueError: If the scores do not cover these users and items.
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
                self._write_scores(scorer, chunk.user, scores)
            # From here on, -inf only means masked.
            scores.clamp_(min=torch.finfo(scores.dtype).min)
            scores.view(-1).index_fill_(0, chunk.masked, -torch.inf)
            decided = favour(scores, chunk.favoured, self._ties)
            value, column = top_items(decided, k)
            item = self._candidates[column.clamp(min=0)]
            yield value, item.masked_fill(column < 0, -1)

    def _check_embeddings(self, scorer: EmbeddingScores) -> None:
        group = None if scorer.first is None else ranks()
        share = group.share(self.num_users) if group else slice(0, self.num_users)
        found = len(scorer.z_user), len(scorer.z_item)
        if found != (share.stop - share.start, self.num_items):
            raise ValueError(
                f"expected embeddings of {counted(self.num_users, 'user')} and "
                f"{counted(self.num_items, 'item')} (got {found[0]} and {found[1]})"
            )

    @torch.no_grad()
    def _write_scores(self, scorer: Scorer, user: Tensor, out: Tensor) -> None:
        """Copy a scorer's scores of the candidates; its own tensor is not modified."""
        # The scorer scores all items, which may be many more than the candidates.
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
    """Ranking of one split of a graph on one device.

    Follows the rules of :class:`~pyg_advinfonce.evaluation.Evaluator`. Everything that
    does not depend on scores is computed once, here.

    Args:
        graph: User-item graph with its splits.
        split: Split to rank.
        strict: Also mask pairs of other splits that are positives of this one.
        ties: Order of equal scores.
        chunk_size: Number of users scored at once (default: at most 32 MB of scores).
            Halved, with a warning, when memory runs out.
        device: Device to rank on.
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
        self._is_candidate, self._hidden = is_candidate, hidden
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

    def rank(
        self, scorer: Scorer, k: int, user: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return scores and ids ``[N, k]`` of the best items of users.

        The processes of a launched training each rank their share of the users.

        Args:
            scorer: The scores.
            k: Length of the lists.
            user: ``[N]`` users (default: all ranked).

        Raises:
            NonFiniteLossError: If a score is NaN.
        """
        ranked, group = self.user if user is None else user, ranks()
        if group is None:
            value, item = self._best_that_fit(scorer, k, user)  # [N, k]
        else:
            share = group.share(self._ranking.num_users)
            is_own = (ranked >= share.start) & (ranked < share.stop)
            best = self._best_that_fit(scorer, k, ranked[is_own].sort().values)
            by_user = ranked.sort().indices
            value, item = (_placed(group.cat(x), by_user) for x in best)
        self._check_no_nan(ranked[value[:, 0].isnan()])
        return value, item

    def cut(self, user: Tensor, item: Tensor, k: int) -> Tensor:
        """Return the first ``k`` items of given lists ``[N, k]`` that may be listed.

        Args:
            user: ``[M]`` users; other users than those of this ranking are left out.
            item: ``[M]`` their items, best first for each user.
            k: Length of the lists.
        """
        row = torch.searchsorted(self.user, user).clamp(max=len(self.user) - 1)
        kept = (self.user[row] == user) & self._is_candidate[item]
        kept &= ~is_among(pair_keys(user, item), self._hidden)
        row, item = row[kept], item[kept]
        row, order = row.sort(stable=True)
        count = torch.bincount(row, minlength=len(self.user))  # [N]
        place = (
            torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
        )
        lists = item.new_full((len(self.user), k), -1)
        short = place < k
        lists[row[short], place[short]] = item[order][short]
        return lists

    def _best_that_fit(
        self, scorer: Scorer, k: int, user: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Rank; when memory runs out, score fewer users at once from then on."""
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
            f"out of memory while ranking split '{self.split}': continuing with "
            f"{size} users at once",
            stacklevel=2,
        )

    def _check_no_nan(self, wrong: Tensor) -> None:
        """Raise an error if users with NaN scores exist."""
        if len(wrong) == 0:
            return
        first = ", ".join(map(str, wrong[:5].tolist()))
        more = ", ..." if len(wrong) > 5 else ""
        raise NonFiniteLossError(
            f"scores of {counted(len(wrong), 'user')} are NaN while ranking "
            f"split '{self.split}': users {first}{more}"
        )


def _placed(x: Tensor, place: Tensor) -> Tensor:
    return torch.empty_like(x).index_copy_(0, place, x)


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
