"""The best candidates of users: masks, chunked scores, exact ties."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pyg_advinfonce.training.pair_places import PairPlaces
from pyg_advinfonce.training.ties import Ties, favour
from pyg_advinfonce.training.top_items import top_items

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

    Pairs are sorted, distinct numbers ``user * I + item``.

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
        self._masked = self._places(hidden[is_candidate[hidden % self.num_items]])
        self._favoured = self._places(hidden[:0] if favoured is None else favoured)
        self._ties = ties

    def chunks(self, user: Tensor) -> Iterator[Chunk]:
        """Divide users ``[N]`` into groups that are scored at once."""
        for part in torch.split(user, self.chunk_size):
            yield Chunk(part, self._masked.of(part), self._favoured.of(part))

    def rank(
        self, z_user: Tensor, z_item: Tensor, k: int, chunks: Iterable[Chunk]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield scores and items ``[n, k]`` of each chunk, the best first.

        A row without ``k`` items to list ends in ``-inf`` and ``-1``; a row with a
        score that is NaN begins with NaN.
        """
        z_candidate = z_item[self._candidates].float()  # [C, D]
        buffer = z_candidate.new_empty(0, len(z_candidate))
        for chunk in chunks:
            if len(buffer) < len(chunk.user):
                buffer = z_candidate.new_empty(len(chunk.user), len(z_candidate))
            scores = buffer[: len(chunk.user)]  # [n, C]
            torch.mm(z_user[chunk.user].float(), z_candidate.T, out=scores)
            # From here on -inf means masked, and nothing else.
            scores.clamp_(min=torch.finfo(scores.dtype).min)
            scores.view(-1).index_fill_(0, chunk.masked, -torch.inf)
            decided = favour(scores, chunk.favoured, self._ties)
            value, column = top_items(decided, k)
            item = self._candidates[column.clamp(min=0)]
            yield value, item.masked_fill(column < 0, -1)

    def _places(self, keys: Tensor) -> PairPlaces:
        bounds = torch.arange(self.num_users + 1, device=keys.device)
        start = torch.searchsorted(keys, bounds * self.num_items)  # [U + 1]
        column = torch.searchsorted(self._candidates, keys % self.num_items)
        return PairPlaces(start, column, len(self._candidates))


def _default_chunk_size(num_candidates: int) -> int:
    width = max(1, num_candidates)
    return max(1, _FEW_SCORES // width, min(_ENOUGH_USERS, _MOST_SCORES // width))
