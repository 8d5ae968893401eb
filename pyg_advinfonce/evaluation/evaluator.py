"""Evaluation of scores on a held-out split."""

import math
from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, get_args

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.errors import GraphError
from pyg_advinfonce.evaluation.groups import group_table
from pyg_advinfonce.evaluation.metrics import (
    Catalogue,
    RankedLists,
    UserMetrics,
    measure,
)
from pyg_advinfonce.evaluation.ranking import SplitRanking
from pyg_advinfonce.evaluation.ties import Ties
from pyg_advinfonce.graph import (
    candidate_mask,
    check_graph,
    check_rows,
    num_nodes,
    split_edges,
    train_degrees,
)
from pyg_advinfonce.keys import pair_keys
from pyg_advinfonce.registry import DEFAULT_METRICS, METRICS, unknown
from pyg_advinfonce.scorer import EmbeddingScores, Scorer

if TYPE_CHECKING:
    import pandas as pd


class Evaluator:
    r"""Full-ranking metrics for the users of a held-out split (docs/methods.md 6.3).

    Scores come from a :class:`~pyg_advinfonce.scorer.Scorer`, or are dot products of
    given embeddings. With :math:`T_u` the user's positives in the split and :math:`r`
    the ranks of positives among the first :math:`k`,

    .. math::
        \mathrm{Recall} = \frac{\sum_r 1}{|T_u|}, \qquad
        \mathrm{NDCG} = \frac{\sum_r 1 / \log_2(r + 1)}
        {\sum_{s=1}^{\min(|T_u|, k)} 1 / \log_2(s + 1)}, \qquad
        \mathrm{Precision} = \frac{\sum_r 1}{k},

    HR is 1 if a positive is among the first :math:`k`, else 0. MRR is
    :math:`1 / \min r`, or 0 without a hit. All are means over users with a positive.
    ``metrics`` chooses others, of exposure and popularity (docs/methods.md 6.4).

    Ties, including ties of infinite scores, are broken by the lower item id, so that a
    ranking is the same on every machine. ``ties`` can instead put a user's positives
    before equal items (``optimistic``) or after them (``pessimistic``), which bounds
    the effect of ties. A NaN is an error.

    Items outside ``data["item"].candidate_mask`` are never listed, nor are a user's
    pairs in other splits: those in train if ``valid`` is ranked; those in train,
    ``valid`` and the other test splits if a test split is ranked; no pairs if ``train``
    is ranked. A hidden pair that is also a positive of the ranked split is listed,
    unless ``strict``.

    A positive that cannot be listed, because it is no candidate or hidden by
    ``strict``, does not count in :math:`T_u`. A user without remaining positives is
    skipped. :meth:`counts` returns their numbers. Masks are computed when a split is
    first ranked; the graph must not change afterwards.

    Args:
        graph: User-item graph with its splits.
        k: Cutoff of the ranked list, or several cutoffs.
        strict: Also hide pairs of other splits that are positives of the ranked split.
        ties: ``lower-id``, ``optimistic`` or ``pessimistic``.
        chunk_size: Number of users scored at once (default: at most 32 MB of scores).
        metrics: Names in :data:`~pyg_advinfonce.registry.METRICS`.
        propensity_power: The propensity of an item is its train degree, relative to the
            largest, to this power.
        propensity_clip: Lower bound of the propensity.

    Example:
        >>> evaluate = Evaluator(graph, k=20)
        >>> evaluate(z_user, z_item, "valid")["valid/recall@20"]
        >>> evaluate.metrics(popularity, "valid")["valid/recall@20"]
    """

    def __init__(
        self,
        graph: HeteroData,
        *,
        k: int | Sequence[int] = 20,
        strict: bool = False,
        ties: Ties = "lower-id",
        chunk_size: int | None = None,
        metrics: Sequence[str] = DEFAULT_METRICS,
        propensity_power: float = 0.5,
        propensity_clip: float = 0.1,
    ) -> None:
        if chunk_size is not None and chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1 (got {chunk_size})")
        if ties not in get_args(Ties):
            raise ValueError(f"ties must be one of {get_args(Ties)} (got {ties!r})")
        if not 0 <= propensity_power < math.inf:
            raise ValueError(
                f"propensity_power must be at least 0 (got {propensity_power})"
            )
        if not 0 < propensity_clip <= 1:
            raise ValueError(
                f"propensity_clip must be above 0 and at most 1 (got {propensity_clip})"
            )
        check_graph(graph)
        self.graph = graph
        self.cutoffs = _check_cutoffs(k)
        self.strict, self.ties = strict, ties
        self.chunk_size = chunk_size
        self.names = _check_names(metrics)
        self.propensity = propensity_power, propensity_clip
        self._rankings: dict[tuple[str, torch.device], SplitRanking] = {}
        self._catalogues: dict[torch.device, Catalogue] = {}

    def with_metrics(self, names: Sequence[str]) -> "Evaluator":
        """Return an evaluator of other metrics that shares this one's masks.

        Raises:
            UnknownNameError: If a metric does not exist.
        """
        other = copy(self)
        other.names = _check_names(names)
        return other

    def __call__(self, z_user: Tensor, z_item: Tensor, split: str) -> dict[str, float]:
        """Return :meth:`metrics` of embeddings ``[U, D]`` and ``[I, D]``."""
        return self.metrics(EmbeddingScores(z_user, z_item), split)

    def metrics(self, scorer: Scorer, split: str) -> dict[str, float]:
        """Return mean metrics, ``{"valid/recall@20": ..., ...}``.

        Raises:
            ValueError: If the scores do not cover the graph's users and items.
            NonFiniteLossError: If a score is NaN.
            GraphError: If the split does not exist or no pair of it can be listed.
        """
        return self.per_user(scorer, split).means()

    @torch.no_grad()
    def per_user(self, scorer: Scorer, split: str) -> UserMetrics:
        """Return the metrics of :meth:`metrics` per user.

        Raises:
            ValueError: If the scores do not cover the graph's users and items.
            NonFiniteLossError: If a score is NaN.
            GraphError: If the split does not exist or no pair of it can be listed.
        """
        return self.measure(self.lists(scorer, split))

    @torch.no_grad()
    def lists(self, scorer: Scorer, split: str) -> RankedLists:
        """Return the lists of a split's users, as long as the largest cutoff.

        Raises:
            ValueError: If the scores do not cover the graph's users and items.
            NonFiniteLossError: If a score is NaN.
            GraphError: If the split does not exist or no pair of it can be listed.
        """
        ranking = self._with_positives(split, self._device(scorer, split))
        score, item = ranking.rank(scorer, self.cutoffs[-1])  # [N, k]
        return RankedLists(split, ranking.user, item, ranking.label_index, score)

    def given_lists(self, user: Tensor, item: Tensor, split: str) -> RankedLists:
        """Return lists that come from elsewhere, under the masks of a split.

        Pairs that this evaluator would not list are left out, and later ones move up. A
        user without pairs has an empty list, and users without a positive have none.

        Args:
            user: ``[M]`` users.
            item: ``[M]`` their items; those of a user are best first.
            split: Split to rank.

        Raises:
            ValueError: If a user or item does not exist, or a user has an item twice.
            GraphError: If the split does not exist or no pair of it can be listed.
        """
        device = split_edges(self.graph, split).device
        user, item = user.to(device, torch.long), item.to(device, torch.long)
        if user.dim() != 1 or user.shape != item.shape:
            raise ValueError(
                "expected users [M] and items [M] "
                f"(got {list(user.shape)} and {list(item.shape)})"
            )
        for name, ids, size in zip(
            ("user", "item"), (user, item), num_nodes(self.graph), strict=True
        ):
            check_rows(name, ids, size)
        if len(torch.unique(pair_keys(user, item))) < len(user):
            raise ValueError("expected every item once per user, got one twice")
        ranking = self._with_positives(split, device)
        lists = ranking.cut(user, item, self.cutoffs[-1])
        return RankedLists(split, ranking.user, lists, ranking.label_index)

    @torch.no_grad()
    def measure(self, lists: RankedLists) -> UserMetrics:
        """Return the metrics of lists made by this evaluator."""
        catalogue = self._catalogue(lists.item.device)
        return measure(lists, self.cutoffs, catalogue, self.names)

    def by_group(self, lists: RankedLists) -> "pd.DataFrame":
        """Return recall and exposure by decile of items and of users, for every cutoff.

        Deciles are those of the train degree, 10 the largest: of the candidates
        (``item``) and of the ranked users (``user``).

        Args:
            lists: Lists made by this evaluator.

        Returns:
            One row per ``split``, ``k``, ``group`` and ``decile``: the number of
            ``members``, their ``train_pairs``, how often they are ``listed`` (users:
            the length of their lists), their ``positives``, ``hits``, their ``share``
            of all that is listed, and ``arp``, the mean train degree of what is listed.
            Each of ``item`` and ``user`` adds up to the total. The ``recall`` of items
            is their hits per positive; that of users is the mean of their recalls.
        """
        return group_table(lists, self.cutoffs, self._catalogue(lists.item.device))

    @torch.no_grad()
    def rank(self, scorer: Scorer, user: Tensor, split: str) -> Tensor:
        """Return the best items of given users ``[N]``, with the masks of ``split``.

        Returns:
            Item ids ``[N, k]`` for the largest cutoff, -1 where candidates run out.

        Raises:
            ValueError: If the scores do not cover the graph's users and items, or a
                user does not exist.
            NonFiniteLossError: If a score is NaN.
            GraphError: If the split does not exist.
        """
        device = self._device(scorer, split)
        user = user.to(device, torch.long)
        check_rows("user", user, num_nodes(self.graph)[0])
        return self._ranking(split, device).rank(scorer, self.cutoffs[-1], user)[1]

    def counts(self, split: str) -> dict[str, int]:
        """Return the numbers of ranked and of skipped users and positives."""
        device = split_edges(self.graph, split).device
        return dict(self._ranking(split, device).counts)

    def _device(self, scorer: Scorer, split: str) -> torch.device:
        """Return the device to rank on, that of the embeddings or else of the graph."""
        if isinstance(scorer, EmbeddingScores):
            return scorer.z_user.device
        return split_edges(self.graph, split).device

    def _catalogue(self, device: torch.device) -> Catalogue:
        if device not in self._catalogues:
            activity, degree = train_degrees(self.graph)
            self._catalogues[device] = Catalogue(
                candidate_mask(self.graph).to(device),
                degree.to(device),
                activity.to(device),
                *self.propensity,
            )
        return self._catalogues[device]

    def _with_positives(self, split: str, device: torch.device) -> SplitRanking:
        ranking = self._ranking(split, device)
        if len(ranking.user) == 0:
            raise GraphError(
                f"expected at least one positive of split '{split}' that can be listed "
                "(got 0): check candidate_mask and strict"
            )
        return ranking

    def _ranking(self, split: str, device: torch.device) -> SplitRanking:
        if (split, device) not in self._rankings:
            self._rankings[split, device] = SplitRanking(
                self.graph,
                split,
                strict=self.strict,
                ties=self.ties,
                chunk_size=self.chunk_size,
                device=device,
            )
        return self._rankings[split, device]


def _check_cutoffs(k: int | Sequence[int]) -> list[int]:
    values = list(k) if isinstance(k, Sequence) else [k]
    if not values or any(type(v) is not int or v < 1 for v in values):
        raise ValueError(f"k must be a positive integer or a list of them (got {k!r})")
    return sorted(set(values))


def _check_names(metrics: Sequence[str]) -> tuple[str, ...]:
    names = [metrics] if isinstance(metrics, str) else metrics
    for name in names:
        if name not in METRICS:
            raise unknown("metric", name, METRICS)
    return tuple(dict.fromkeys(names))
