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
    r"""Ranks all candidates for the users of a held-out split (docs/methods.md 6.3).

    Scores are those of a :class:`~pyg_advinfonce.scorer.Scorer`; of embeddings, which
    may be handed over as they are, their dot products. With :math:`T_u` the user's
    positives in the split and :math:`r` running over the ranks up to :math:`k` that
    hold one of them,

    .. math::
        \mathrm{Recall} = \frac{\sum_r 1}{|T_u|}, \qquad
        \mathrm{NDCG} = \frac{\sum_r 1 / \log_2(r + 1)}
        {\sum_{s=1}^{\min(|T_u|, k)} 1 / \log_2(s + 1)}, \qquad
        \mathrm{Precision} = \frac{\sum_r 1}{k},

    HR is 1 if anything is hit, MRR is :math:`1 / \min r` or 0. All are means over the
    users with a positive.

    Equal scores, infinite ones among them: the lower item id first, so that a ranking
    is the same on every machine. ``ties`` puts a user's positives before their equals
    (``optimistic``) or after them (``pessimistic``): bounds of what luck can do. A NaN
    is an error.

    Never listed are items outside ``data["item"].candidate_mask``, nor a user's pairs
    in other splits: in train when ``valid`` is ranked; in train, ``valid`` and the
    other test splits when a test split is ranked; none when ``train`` is. A pair that
    is also a positive of the ranked split is listed nevertheless, unless ``strict``.

    A positive that cannot be listed, being no candidate or hidden by ``strict``, does
    not count in :math:`T_u`: no model could find it. A user left without positives is
    skipped. :meth:`counts` tells how many. Masks are prepared when a split is first
    ranked; the graph must not change after that.

    Args:
        graph: The user-item graph with its splits.
        k: The length of the ranked list, or several.
        strict: Also hide pairs of other splits that are positives of the ranked split.
        ties: ``lower-id``, ``optimistic`` or ``pessimistic``.
        chunk_size: Users scored at once (default: at most 32 MB of scores).

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
        """Return :meth:`metrics` of embeddings of the whole graph."""
        return self.metrics(EmbeddingScores(z_user, z_item), split)

    def metrics(self, scorer: Scorer, split: str) -> dict[str, float]:
        """Return ``{"valid/recall@20": ..., ...}``.

        Raises:
            ValueError: If the scores are not those of the graph's users and items.
            NonFiniteLossError: If a score is NaN.
            GraphError: If there is no such split, or none of its pairs can be listed.
        """
        return self.per_user(scorer, split).means()

    @torch.no_grad()
    def per_user(self, scorer: Scorer, split: str) -> UserMetrics:
        """Return the same metrics, a value a user instead of their mean.

        Raises:
            ValueError: If the scores are not those of the graph's users and items.
            NonFiniteLossError: If a score is NaN.
            GraphError: If there is no such split, or none of its pairs can be listed.
        """
        ranking = self._ranking(split, self._device(scorer, split))
        if len(ranking.user) == 0:
            raise GraphError(f"split '{split}' has no positive that may be listed")
        item = ranking.rank(scorer, self.cutoffs[-1])  # [N, k]
        # PyG takes -1 for the last item of the row above; this is no one's label.
        item = item.masked_fill(item < 0, num_nodes(self.graph)[1])
        data = LinkPredMetricData(item, ranking.label_index)
        return UserMetrics(split, ranking.user, metrics_at(self.cutoffs, data))

    @torch.no_grad()
    def rank(self, scorer: Scorer, user: Tensor, split: str) -> Tensor:
        """Return the best items of any users ``[N]``, masked as if ``split`` is ranked.

        Returns:
            Item ids ``[N, k]`` for the largest ``k``, -1 where candidates run out.

        Raises:
            ValueError: If the scores are not those of the graph's users and items, or
                there is no such user.
            NonFiniteLossError: If a score is NaN.
            GraphError: If there is no such split.
        """
        device, last = self._device(scorer, split), num_nodes(self.graph)[0] - 1
        user = user.to(device, torch.long)
        if len(user) > 0 and not 0 <= int(user.min()) <= int(user.max()) <= last:
            raise ValueError(f"user must hold ids from 0 to {last}")
        return self._ranking(split, device).rank(scorer, self.cutoffs[-1], user)

    def counts(self, split: str) -> dict[str, int]:
        """Return the numbers of ranked users and positives, and of those left out."""
        device = split_edges(self.graph, split).device
        return dict(self._ranking(split, device).counts)

    def _device(self, scorer: Scorer, split: str) -> torch.device:
        """Return where to rank: embeddings need not be where the graph is."""
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
        raise ValueError(f"k must be a positive integer or several (got {k!r})")
    return sorted(set(values))
