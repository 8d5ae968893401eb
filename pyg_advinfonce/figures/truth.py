"""Which sampled negatives are false ones."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.datasets.base import Dataset
from pyg_advinfonce.graph import num_nodes, split_edges, test_splits

Likes = Callable[[Tensor, Tensor], Tensor]


def truth(dataset: Dataset) -> Likes:
    """Return a function that tells of users and items whether the user likes the item.

    Simulated data knows; elsewhere the items of a user's test splits are what it is
    known to like, and all others count as not liked.
    """
    known: Likes | None = getattr(dataset, "likes", None)
    return known or held_out(dataset.graph)


def held_out(graph: HeteroData) -> Likes:
    """Return a function that tells whether pairs are in any test split of a graph."""
    pairs = torch.cat([split_edges(graph, name) for name in test_splits(graph)], dim=1)
    num_items = num_nodes(graph)[1]
    keys = (pairs[0] * num_items + pairs[1]).unique()

    def likes(user_id: Tensor, item_id: Tensor) -> Tensor:
        return torch.isin(user_id * num_items + item_id, keys.to(item_id.device))

    return likes
