"""Views of a user-item graph that lack the edges of some nodes."""

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from pyg_advinfonce.graph import num_nodes, split_edges
from pyg_advinfonce.transforms.edge_drop import (
    check_share,
    exact,
    keep_edges,
    share_of,
)


@functional_transform("node_drop")
class NodeDrop(BaseTransform):
    r"""Isolate :math:`\lfloor p \, U \rfloor` users and :math:`\lfloor p \, I \rfloor`
    items, as in the node dropout of `"Self-supervised Graph Learning for
    Recommendation" <https://arxiv.org/abs/2010.10783>`_.

    They are drawn uniformly and lose all their edges, in both directions, but keep
    their ids and so their own rows. Weights are not renewed: let
    :class:`~pyg_advinfonce.transforms.bipartite_norm.BipartiteNorm` follow.

    Args:
        p: The share of users, and of items, to isolate.
    """  # noqa: D205

    def __init__(self, p: float) -> None:
        self.p = check_share(p)

    def forward(self, data: HeteroData) -> HeteroData:
        num_users, num_items = num_nodes(data)
        user, item = split_edges(data, "train")
        stays_user = self._draw(num_users, user.device)  # [U]
        stays_item = self._draw(num_items, item.device)  # [I]
        return keep_edges(data, stays_user[user] & stays_item[item])

    def _draw(self, count: int, device: torch.device) -> Tensor:
        """Tell of each of some nodes whether it stays."""
        stays = torch.ones(count, dtype=torch.bool, device=device)
        order = torch.randperm(count, device=device)
        stays[order[: share_of(count, exact(self.p))]] = False
        return stays

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.p})"
