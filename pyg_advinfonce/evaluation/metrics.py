"""Recall, NDCG, hit ratio, precision and MRR per user."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.metrics.link_pred import LinkPredMetricData
from torch_geometric.utils import cumsum


@dataclass(frozen=True)
class UserMetrics:
    """Metrics per user of a split.

    Attributes:
        split: Name of the split.
        user: ``[N]`` ranked users, ascending.
        values: Values ``[N]`` by metric, e.g. ``recall@20``.
    """

    split: str
    user: Tensor
    values: Mapping[str, Tensor]

    def means(self) -> dict[str, float]:
        """Return the means over users, ``{"valid/recall@20": ..., ...}``."""
        sums = torch.stack([value.sum() for value in self.values.values()])
        means: list[float] = (sums / len(self.user)).tolist()
        return {f"{self.split}/{n}": v for n, v in zip(self.values, means, strict=True)}


def metrics_at(cutoffs: Sequence[int], data: LinkPredMetricData) -> dict[str, Tensor]:
    """Return recall, NDCG, hit ratio, precision and MRR of ranked lists, by cutoff.

    The values are bit-identical to those in PyG's metrics of the same names. A user
    without labels has 0 in all metrics.

    Args:
        cutoffs: Lengths ``k`` of the lists.
        data: Lists ``[N, L]`` and the users' labels. The padding must not be a label of
            any user, nor -1, which PyG reads as an item of another list.

    Returns:
        Values ``[N]`` by metric, e.g. ``recall@20``.
    """
    count = data.label_count  # [N]
    dtype, device = torch.get_default_dtype(), count.device
    found: dict[str, Tensor] = {}
    for k in cutoffs:
        hit = data.pred_rel_mat[:, :k]  # [N, min(k, L)]
        rank = torch.arange(1, hit.size(1) + 1, device=device)
        # Computed on the CPU to be bit-identical on every device.
        discount = torch.arange(2, k + 2, dtype=dtype, device="cpu").log2()
        best = cumsum(1.0 / discount).to(device)  # of 0 to k labels
        gain = (hit / discount[: hit.size(1)].to(device)).sum(-1)
        found[f"recall@{k}"] = hit.sum(-1) / count.clamp(min=1)
        found[f"ndcg@{k}"] = gain / best[count.clamp(min=1, max=k)]
        found[f"hr@{k}"] = hit.any(-1).to(dtype)
        found[f"precision@{k}"] = hit.sum(-1) / k
        found[f"mrr@{k}"] = (hit / rank).amax(-1)
    return found
