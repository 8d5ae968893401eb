"""Recommendation lists for known and new users."""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.utils import coalesce

from pyg_advinfonce.errors import (
    ConfigError,
    DataWarning,
    NonFiniteLossError,
    UnknownNameError,
    counted,
)
from pyg_advinfonce.evaluation import CandidateRanking
from pyg_advinfonce.functional import unit_rows
from pyg_advinfonce.graph import (
    ITEM,
    USER,
    candidate_mask,
    num_nodes,
    seen_pairs,
    train_degrees,
)
from pyg_advinfonce.keys import pair_keys
from pyg_advinfonce.methods import Method
from pyg_advinfonce.ranks import ranks
from pyg_advinfonce.scorer import EmbeddingScores, Scorer
from pyg_advinfonce.serving.new_users import fold_in

RawId = int | str


class IdMap:
    """Map between the rows of a node type and the ids of the input data.

    Args:
        graph: User-item graph; without ``raw_id`` the ids are the rows.
        node_type: ``user`` or ``item``.
    """

    values: NDArray[Any]  # [N] int64, or strings as objects

    def __init__(self, graph: HeteroData, node_type: str) -> None:
        self.node_type = node_type
        ids = graph[node_type].get("raw_id")
        if ids is None:
            self.values = np.arange(graph[node_type].num_nodes)
        elif isinstance(ids, Tensor):
            self.values = ids.cpu().numpy()
        else:
            self.values = np.array(ids, dtype=object)

    def rows(self, ids: Iterable[RawId]) -> Tensor:
        """Return the rows ``[n]`` of ids; ``7`` and ``"7"`` are the same id.

        Raises:
            UnknownNameError: If an id is unknown.
            TypeError: If the ids are a single string.
        """
        if isinstance(ids, str):
            raise TypeError(
                f"expected a list of {self.node_type} ids (got {ids!r}): use [{ids!r}]"
            )
        rows = [self._row(str(raw_id)) for raw_id in ids]
        return torch.tensor(rows, dtype=torch.long, device="cpu")

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {str(raw_id): row for row, raw_id in enumerate(self.values.tolist())}

    def _row(self, text: str) -> int:
        if text not in self._row_of:
            raise UnknownNameError(
                f"unknown {self.node_type} {text!r}{self._hint(text)}"
            )
        return self._row_of[text]

    def _hint(self, text: str) -> str:
        near = get_close_matches(text, self._row_of, n=3)
        if near:
            return f", did you mean {' or '.join(map(repr, near))}?"
        some = ", ".join(map(repr, list(self._row_of)[:3]))
        return f": choose from {len(self._row_of):,} {self.node_type}s, e.g. {some}"


class Recommender:
    """Exact top-k recommender in bounded memory; it embeds the graph once.

    A table of recommendations has one row per listed item, with the columns ``user``,
    ``rank`` from 1, ``item`` and ``score``. Ids are those of the input data (``raw_id``
    of the graph, else rows). Equal scores are ordered by item row. Items outside
    ``candidate_mask`` are never listed, so a list may have fewer than ``k`` items.

    Args:
        method: The trained method.
        graph: The graph that it was trained on.
        seen: Items that a list leaves out: ``all`` that the data knows of the user,
            only those of ``train``, or ``none``. The given items of a new user are left
            out unless it is ``none``. See :func:`~pyg_advinfonce.graph.seen_pairs`.
        chunk_size: Number of users scored at once (default: at most 32 MB of scores).

    Example:
        >>> recommender = Recommender(run.method, run.graph)
        >>> recommender.recommend(["ann", "bob"], k=5)
        >>> recommender.recommend_new({"visitor": ["tea", "jam"]}, k=5)
        >>> recommender.similar(["tea"], k=5)
    """

    def __init__(
        self,
        method: Method,
        graph: HeteroData,
        *,
        seen: str = "all",
        chunk_size: int | None = None,
    ) -> None:
        self.method, self.graph = method, graph
        self.seen, self.chunk_size = seen, chunk_size
        self.users, self.items = IdMap(graph, USER), IdMap(graph, ITEM)
        self.scorer = method.scorer(graph)
        degrees = (degree.cpu() for degree in train_degrees(graph))
        self._degree = dict(zip((USER, ITEM), degrees, strict=True))
        known = seen_pairs(graph, seen)
        self._ranking = self._ranking_without(known, num_nodes(graph)[0])

    def recommend(
        self, users: Iterable[RawId] | None = None, *, k: int = 20
    ) -> pd.DataFrame:
        """Return the ``k`` best items of users (default: all of them).

        Raises:
            UnknownNameError: If a user is unknown.
            ConfigError: If ``k`` is not positive.
            NonFiniteLossError: If a score is NaN.
        """
        return pd.concat(self.stream(users, k=k), ignore_index=True)

    def stream(
        self, users: Iterable[RawId] | None = None, *, k: int = 20
    ) -> Iterator[pd.DataFrame]:
        """Yield the table of :meth:`recommend` in pieces, if it exceeds memory.

        Of all users, each process of a launch has its share, in the order of ranks.
        """
        if users is None:
            row = torch.arange(len(self.users.values), device="cpu")
        else:
            row = self.users.rows(users)
        self._warn_of_untrained(USER, row)
        if users is None and (group := ranks()) is not None:
            row = row[group.share(len(row))]
        return self._tables(self._ranking, self.users.values, self.scorer, row, k)

    def recommend_new(
        self, items_of: Mapping[Any, Sequence[RawId]], *, k: int = 20
    ) -> pd.DataFrame:
        """Return the ``k`` best items of new users.

        See :func:`~pyg_advinfonce.serving.fold_in` for their embeddings.

        Args:
            items_of: Items of each new user, by a name for the column ``user``.
            k: Length of a list.

        Raises:
            UnknownNameError: If an item is unknown.
            ConfigError: If no user is given, a user has no item with a train pair,
                ``k`` is not positive, or the model has no embeddings whose dot products
                rank items.
        """
        if not items_of:
            raise ConfigError("expected at least one new user with items (got none)")
        rows = [self.items.rows(items) for items in items_of.values()]
        user = torch.arange(len(rows), device="cpu")
        of_pair = [u.expand(len(row)) for u, row in zip(user, rows, strict=True)]
        pairs = torch.stack([torch.cat(of_pair), torch.cat(rows)])  # [2, P]
        pairs = pairs.to(candidate_mask(self.graph).device)
        z_user = fold_in(self.method, self.graph, pairs, num_users=len(rows))
        assert isinstance(self.scorer, EmbeddingScores)  # else fold_in has raised
        scorer = EmbeddingScores(z_user, self.scorer.z_item)
        given = pairs[:, :0] if self.seen == "none" else coalesce(pairs)
        ranking = self._ranking_without(given, len(rows))
        names = np.array(list(items_of), dtype=object)
        tables = self._tables(ranking, names, scorer, user, k)
        return pd.concat(tables, ignore_index=True)

    def similar(self, items: Iterable[RawId], *, k: int = 20) -> pd.DataFrame:
        """Return the ``k`` items most similar to given items.

        The score is the cosine of two items' embeddings. Items without a train pair,
        of which nothing is learned, are not listed.

        Args:
            items: Ids of items.
            k: Length of a list.

        Returns:
            A table like that of :meth:`recommend`, with the given item in the column
            ``like`` instead of ``user``.

        Raises:
            UnknownNameError: If an item is unknown.
            ConfigError: If ``k`` is not positive, or the model has no embeddings whose
                dot products rank items.
        """
        self.method.check_embeddings()
        assert isinstance(self.scorer, EmbeddingScores)
        rows = self.items.rows(items)
        self._warn_of_untrained(ITEM, rows)
        z_item = unit_rows(self.scorer.z_item)
        place = torch.arange(len(rows), device="cpu")
        itself = torch.stack([place, rows]).to(z_item.device)
        is_trained = (self._degree[ITEM] > 0).to(candidate_mask(self.graph).device)
        ranking = self._ranking_without(itself, len(rows), among=is_trained)
        scorer = EmbeddingScores(z_item[itself[1]], z_item)
        names = self.items.values[rows.numpy()]
        tables = self._tables(ranking, names, scorer, place, k)
        found = pd.concat(tables, ignore_index=True)
        return found.rename(columns={"user": "like"})

    def _warn_of_untrained(self, node_type: str, row: Tensor) -> None:
        untrained = row[self._degree[node_type][row] == 0]
        if len(untrained) and isinstance(self.scorer, EmbeddingScores):
            ids = self.items if node_type == ITEM else self.users
            first = ids.values[int(untrained[0])]
            have = counted(len(untrained), f"{node_type} has", f"{node_type}s have")
            warnings.warn(
                f"{have} no train pair, e.g. '{first}': nothing is learned about them, "
                "and their lists are random",
                DataWarning,
                stacklevel=3,
            )

    def _ranking_without(
        self, seen: Tensor, num_users: int, *, among: Tensor | None = None
    ) -> CandidateRanking:
        """Return a ranking without distinct, sorted pairs ``[2, S]``."""
        mask = candidate_mask(self.graph)
        return CandidateRanking(
            mask if among is None else mask & among,
            pair_keys(*seen),
            num_users,
            chunk_size=self.chunk_size,
        )

    def _tables(
        self,
        ranking: CandidateRanking,
        names: NDArray[Any],
        scorer: Scorer,
        row: Tensor,
        k: int,
    ) -> Iterator[pd.DataFrame]:
        if k < 1:
            raise ConfigError(f"k must be positive (got {k})")
        row = row.to(candidate_mask(self.graph).device)
        chunks = list(ranking.chunks(row))
        k = min(k, len(self.items.values))
        best = ranking.rank(scorer, k, chunks)
        num_without = 0
        for chunk, (score, item) in zip(chunks, best, strict=True):
            user = names[chunk.user.cpu().numpy()]
            num_without += int((item[:, 0] < 0).sum())
            yield self._table(user, score.cpu(), item.cpu())
        if num_without:
            warnings.warn(
                f"{counted(num_without, 'user has', 'users have')} seen all items that "
                "may be listed, and get no list: seen='train' (--seen train) lists "
                "their held-out items",
                DataWarning,
                stacklevel=2,
            )

    def _table(self, user: NDArray[Any], score: Tensor, item: Tensor) -> pd.DataFrame:
        nan = score[:, 0].isnan()
        if nan.any():
            first = user[int(nan.nonzero()[0])]
            raise NonFiniteLossError(f"scores of user '{first}' are NaN")
        place, column = (item >= 0).nonzero(as_tuple=True)
        return pd.DataFrame(
            {
                "user": user[place.numpy()],
                "rank": column.numpy() + 1,
                "item": self.items.values[item[place, column].numpy()],
                "score": score[place, column].numpy(),
            }
        )


class Trained(Protocol):
    """Protocol of a trained method with the graph that it was trained on."""

    @property
    def method(self) -> Method: ...

    @property
    def graph(self) -> HeteroData: ...


def recommend(
    self: Trained,
    users: Iterable[RawId] | None = None,
    *,
    k: int = 20,
    seen: str = "all",
) -> pd.DataFrame:
    """Return the ``k`` best items of users (default: all), by ids of the input data.

    See :class:`~pyg_advinfonce.serving.Recommender`, which is faster for repeated calls
    and supports new users.
    """
    found = Recommender(self.method, self.graph, seen=seen)
    return found.recommend(users, k=k)
