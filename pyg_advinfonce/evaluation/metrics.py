"""Metrics of ranked lists, by name: accuracy, exposure and popularity."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from torch_geometric.metrics.link_pred import LinkPredMetricData
from torch_geometric.utils import cumsum

from pyg_advinfonce.registry import DEFAULT_METRICS

HEAD = 0.2
"""The share of candidates that are the head; the others are the tail."""


@dataclass(frozen=True)
class UserMetrics:
    """Metrics per user of a split.

    Attributes:
        split: Name of the split.
        user: ``[N]`` ranked users, ascending.
        values: Values ``[N]`` by metric, e.g. ``recall@20``. Metrics of what is listed
            are NaN for a user with an empty list.
        totals: Values of the metrics that have none per user, e.g. ``gini@20``.
    """

    split: str
    user: Tensor
    values: Mapping[str, Tensor]
    totals: Mapping[str, float] = field(default_factory=dict)

    def means(self) -> dict[str, float]:
        """Return the means over users, ``{"valid/recall@20": ..., ...}``, and totals.

        Users with an empty list do not count in the metrics of what is listed.
        """
        found: dict[str, float] = {}
        if self.values:
            values = torch.stack(list(self.values.values()))  # [metrics, N]
            unknown, size = values.isnan(), len(self.user)
            sums = torch.stack([v.sum() for v in values.masked_fill(unknown, 0.0)])
            missing = unknown.sum(1)  # [metrics]
            known = sums / (size - missing)
            means = (sums / size).where(missing == 0, known).tolist()
            found = dict(zip(self.values, means, strict=True))
        return {f"{self.split}/{n}": v for n, v in {**found, **self.totals}.items()}


@dataclass(frozen=True)
class RankedLists:
    """The lists of a split's users, and the positives to find.

    Attributes:
        split: Name of the split.
        user: ``[N]`` ranked users, ascending.
        item: ``[N, L]`` listed items, best first; -1 where a list has ended.
        label_index: ``[2, P]`` row of ``user``, item.
        score: ``[N, L]`` scores, -inf where a list has ended; None if unknown.
    """

    split: str
    user: Tensor
    item: Tensor
    label_index: Tensor
    score: Tensor | None = None

    def data(self, num_items: int, weight: Tensor | None = None) -> LinkPredMetricData:
        """Return the lists in PyG's form.

        Args:
            num_items: Number of items; it stands for the end of a list, since PyG reads
                -1 as the last item of the previous row.
            weight: ``[I]`` positive weights of the items as positives.
        """
        item = self.item.masked_fill(self.item < 0, num_items)
        weights = None if weight is None else weight[self.label_index[1]]
        return LinkPredMetricData(item, self.label_index, weights)


@dataclass(frozen=True)
class Catalogue:
    """What metrics know about users and items besides the lists.

    Attributes:
        is_candidate: ``[I]`` bool, the items that may be listed.
        degree: ``[I]`` train degree of items.
        activity: ``[U]`` train degree of users.
        power: Power of the train degree in the propensity.
        clip: Lower bound of the propensity.
    """

    is_candidate: Tensor
    degree: Tensor
    activity: Tensor
    power: float = 0.5
    clip: float = 0.1

    @cached_property
    def in_tail(self) -> Tensor:
        """``[I]`` bool, the candidates that are not the most popular 20 %.

        Among equal train degrees the lower id is the more popular.
        """
        candidate = self.is_candidate.nonzero().view(-1)  # [C]
        order = self.degree[candidate].argsort(descending=True, stable=True)
        head = candidate[order[: round(HEAD * len(candidate))]]
        return self.is_candidate.index_fill(0, head, False)

    @cached_property
    def self_information(self) -> Tensor:
        r"""``[I]`` :math:`\log_2(U / d_i)`; an item without train pairs counts as one.

        It is the surprise that a random user has item :math:`i` (Zhou et al., Solving
        the apparent diversity-accuracy dilemma of recommender systems, 2010).
        """
        return (len(self.activity) / self.degree.clamp(min=1).double()).log2()

    @cached_property
    def weight(self) -> Tensor:
        r"""``[I]`` inverse propensities, relative to the smallest; so at most 1.

        The propensity is :math:`\max((d_i / \max_j d_j)^{power}, clip)`. Metrics that
        normalise themselves do not depend on the scale of the weights; equal
        propensities give weights of exactly 1.
        """
        share = self.degree.double() / self.degree.max().clamp(min=1)
        propensity = share.pow(self.power).clamp(min=self.clip)
        return (propensity.min() / propensity).to(torch.get_default_dtype())


def measure(
    lists: RankedLists,
    cutoffs: Sequence[int],
    catalogue: Catalogue,
    names: Sequence[str] = DEFAULT_METRICS,
) -> UserMetrics:
    """Return metrics of lists, by cutoff and name."""
    num_items = len(catalogue.degree)
    data = lists.data(num_items)
    weighted = None
    values: dict[str, Tensor] = {}
    totals: dict[str, float] = {}
    for k in cutoffs:
        for name in names:
            if name in BY_RANK:
                values[f"{name}@{k}"] = BY_RANK[name](data, k)
            elif name in BY_WEIGHT:
                weighted = weighted or lists.data(num_items, catalogue.weight)
                values[f"{name}@{k}"] = BY_WEIGHT[name](weighted, k)
            elif name in BY_LIST:
                about = BY_LIST[name](catalogue)  # [I]
                values[f"{name}@{k}"] = _list_mean(about, lists.item[:, :k])
            else:
                exposure = exposure_of(lists.item[:, :k], num_items)
                found = IN_TOTAL[name](exposure[catalogue.is_candidate])
                totals[f"{name}@{k}"] = float(found)
    return UserMetrics(lists.split, lists.user, values, totals)


def _recall(data: LinkPredMetricData, k: int) -> Tensor:
    return data.pred_rel_mat[:, :k].sum(-1) / data.label_count.clamp(min=1)


def _ndcg(data: LinkPredMetricData, k: int) -> Tensor:
    hit, count = data.pred_rel_mat[:, :k], data.label_count
    discount = _discount(k)
    best = cumsum(1.0 / discount).to(hit.device)  # DCG of 0 to k labels
    gain = (hit / discount[: hit.size(1)].to(hit.device)).sum(-1)
    return gain / best[count.clamp(min=1, max=k)]


def _discount(k: int) -> Tensor:
    """Return the discounts ``[k]``, on the CPU to be bit-identical on every device."""
    dtype = torch.get_default_dtype()
    return torch.arange(2, k + 2, dtype=dtype, device="cpu").log2()


def _hit_ratio(data: LinkPredMetricData, k: int) -> Tensor:
    return data.pred_rel_mat[:, :k].any(-1).to(torch.get_default_dtype())


def _precision(data: LinkPredMetricData, k: int) -> Tensor:
    return data.pred_rel_mat[:, :k].sum(-1) / k


def _mrr(data: LinkPredMetricData, k: int) -> Tensor:
    hit = data.pred_rel_mat[:, :k]
    return (hit / _ranks(hit)).amax(-1)


def _map(data: LinkPredMetricData, k: int) -> Tensor:
    hit = data.pred_rel_mat[:, :k]
    precision = hit.cumsum(1) / _ranks(hit)
    return (precision * hit).sum(-1) / data.label_count.clamp(min=1, max=k)


def _ranks(hit: Tensor) -> Tensor:
    return torch.arange(1, hit.size(1) + 1, device=hit.device)


def _weighted_recall(data: LinkPredMetricData, k: int) -> Tensor:
    total = data.label_weight_sum
    return data.pred_rel_mat[:, :k].sum(-1) / total.where(total > 0, 1.0)


def _weighted_ndcg(data: LinkPredMetricData, k: int) -> Tensor:
    hit, row = data.pred_rel_mat[:, :k], data.edge_label_index[0]
    weight, place = data.edge_label_weight, data.edge_label_weight_pos
    assert weight is not None
    assert place is not None
    discount = _discount(k)
    first = place < k
    best = weight.new_zeros(len(hit), k)  # the k heaviest positives, in order
    best[row[first], place[first]] = weight[first]
    most = cumsum(best.cpu() / discount, dim=1)[:, -1].to(hit.device)
    gain = (hit / discount[: hit.size(1)].to(hit.device)).sum(-1)
    return gain / most.where(most > 0, 1.0)


def _list_mean(about: Tensor, item: Tensor) -> Tensor:
    """Return the mean of items' values ``[I]`` over each list, NaN if it is empty."""
    listed = item >= 0  # [N, k]
    sums = about.double()[item.clamp(min=0)].where(listed, 0.0).sum(-1)
    return (sums / listed.sum(-1)).to(torch.get_default_dtype())


def exposure_of(item: Tensor, num_items: int) -> Tensor:
    """Return how often each item is listed, ``[I]``."""
    return torch.bincount(item[item >= 0], minlength=num_items)


def _coverage(exposure: Tensor) -> Tensor:
    return (exposure > 0).double().mean()


def _gini(exposure: Tensor) -> Tensor:
    r"""Return :math:`\sum_j (2j - C - 1) x_j / (C \sum_j x_j)`, ``x`` ascending."""
    size = len(exposure)
    ordered = exposure.sort().values.double()
    factor = 2 * torch.arange(1, size + 1, device=exposure.device) - size - 1
    return (factor * ordered).sum() / (size * ordered.sum())


# The values of the default metrics are bit-identical to those in PyG's metrics of the
# same names. A user without labels has 0 in all metrics of both tables.
BY_RANK: Mapping[str, Callable[[LinkPredMetricData, int], Tensor]] = {
    "recall": _recall,
    "ndcg": _ndcg,
    "hr": _hit_ratio,
    "precision": _precision,
    "mrr": _mrr,
    "map": _map,
}
BY_WEIGHT: Mapping[str, Callable[[LinkPredMetricData, int], Tensor]] = {
    "snips-recall": _weighted_recall,
    "snips-ndcg": _weighted_ndcg,
}
BY_LIST: Mapping[str, Callable[[Catalogue], Tensor]] = {
    "arp": lambda catalogue: catalogue.degree,
    "tail": lambda catalogue: catalogue.in_tail,
    "novelty": lambda catalogue: catalogue.self_information,
}
IN_TOTAL: Mapping[str, Callable[[Tensor], Tensor]] = {
    "coverage": _coverage,
    "gini": _gini,
}
