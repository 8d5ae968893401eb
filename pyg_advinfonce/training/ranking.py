"""Ranking the candidates of a held-out split: what counts and what is hidden."""

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.errors import NonFiniteLossError
from pyg_advinfonce.graph import candidate_mask, num_nodes, split_edges, split_names
from pyg_advinfonce.out_of_memory import is_out_of_memory
from pyg_advinfonce.training.candidate_ranking import CandidateRanking
from pyg_advinfonce.training.ties import Ties


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
        self.split = split
        num_users, self.num_items = num_nodes(graph)
        is_candidate = candidate_mask(graph).to(device)  # [I]
        given = pair_keys(graph, [split], device)
        hidden = pair_keys(graph, _hidden_splits(graph, split), device)
        labels = given[~torch.isin(given, hidden)] if strict else given
        labels = labels[is_candidate[labels % self.num_items]]
        self._set_labels(given, labels)
        hidden = hidden[~torch.isin(hidden, labels)]
        self._ranking = CandidateRanking(
            is_candidate,
            hidden,
            num_users,
            favoured=labels,
            ties=ties,
            chunk_size=chunk_size,
        )
        self._own_chunks = list(self._ranking.chunks(self.user))

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

    def rank(
        self, z_user: Tensor, z_item: Tensor, k: int, user: Tensor | None = None
    ) -> Tensor:
        """Return the best item ids ``[N, k]`` of some users (default: all evaluated).

        Raises:
            NonFiniteLossError: If a score is NaN.
        """
        value, item = self._best_that_fit(z_user, z_item, k, user)  # [N, k]
        ranked = self.user if user is None else user
        self._check_numbers(ranked[value[:, 0].isnan()])
        return item

    def _best_that_fit(
        self, z_user: Tensor, z_item: Tensor, k: int, user: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Rank fewer users at once from now on, where memory does not suffice."""
        ranked, ranking = self.user if user is None else user, self._ranking
        while True:
            chunks = self._own_chunks if user is None else ranking.chunks(user)
            at_once = min(ranking.chunk_size, len(ranked))
            try:
                best = list(ranking.rank(z_user, z_item, k, chunks))
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


def pair_keys(graph: HeteroData, splits: Sequence[str], device: torch.device) -> Tensor:
    """Return the splits' pairs as sorted, distinct numbers ``user * I + item``."""
    num_items = num_nodes(graph)[1]
    keys = [torch.empty(0, dtype=torch.long, device=device)]
    for name in splits:
        user, item = split_edges(graph, name).to(device, torch.long)
        keys.append(user * num_items + item)
    unique: Tensor = torch.unique(torch.cat(keys))
    return unique
