"""Evaluation of scores on a held-out split."""

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.metrics.link_pred import LinkPredMetricData

from pyg_advinfonce.errors import GraphError
from pyg_advinfonce.evaluation.metrics import UserMetrics, metrics_at
from pyg_advinfonce.evaluation.ranking import SplitRanking
from pyg_advinfonce.evaluation.top_items import Ties
from pyg_advinfonce.graph import check_graph, num_nodes, split_edges
from pyg_advinfonce.scorer import EmbeddingScores, Scorer


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
    ) -> None:
        if chunk_size is not None and chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1 (got {chunk_size})")
        if ties not in get_args(Ties):
            raise ValueError(f"ties must be one of {get_args(Ties)} (got {ties!r})")
        check_graph(graph)
        self.graph = graph
        self.cutoffs = _check_cutoffs(k)
        self.strict, self.ties = strict, ties
        self.chunk_size = chunk_size
        self._rankings: dict[tuple[str, torch.device], SplitRanking] = {}

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
        """Return the same metrics per user.

        Raises:
            ValueError: If the scores do not cover the graph's users and items.
            NonFiniteLossError: If a score is NaN.
            GraphError: If the split does not exist or no pair of it can be listed.
        """
        ranking = self._ranking(split, self._device(scorer, split))
        if len(ranking.user) == 0:
            raise GraphError(
                f"expected at least one positive of split '{split}' that can be listed "
                "(got 0): check candidate_mask and strict"
            )
        item = ranking.rank(scorer, self.cutoffs[-1])  # [N, k]
        # PyG reads -1 as the last item of the previous row; I is no user's label.
        item = item.masked_fill(item < 0, num_nodes(self.graph)[1])
        data = LinkPredMetricData(item, ranking.label_index)
        return UserMetrics(split, ranking.user, metrics_at(self.cutoffs, data))

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
        device, last = self._device(scorer, split), num_nodes(self.graph)[0] - 1
        user = user.to(device, torch.long)
        if len(user) > 0 and not 0 <= int(user.min()) <= int(user.max()) <= last:
            raise ValueError(
                f"user must be in [0, {last}] "
                f"(got {int(user.min())} to {int(user.max())})"
            )
        return self._ranking(split, device).rank(scorer, self.cutoffs[-1], user)

    def counts(self, split: str) -> dict[str, int]:
        """Return the numbers of ranked and of skipped users and positives."""
        device = split_edges(self.graph, split).device
        return dict(self._ranking(split, device).counts)

    def _device(self, scorer: Scorer, split: str) -> torch.device:
        """Return the device to rank on: that of the embeddings, else the graph's."""
        if isinstance(scorer, EmbeddingScores):
            return scorer.z_user.device
        return split_edges(self.graph, split).device

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
