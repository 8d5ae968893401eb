"""Homogeneous user-item graphs, with random links and subgraph masks."""

import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform
from torch_geometric.utils import coalesce

from pyg_advinfonce.graph import num_nodes, split_edges


@functional_transform("joint_graph")
class JointGraph(BaseTransform):
    """Merge users and items into one graph with both directions and self-loops.

    Shapes:
        - **output:** ``edge_index`` ``[2, 2 E + U + I]``, ``num_nodes`` ``U + I``
    """

    def forward(self, data: HeteroData) -> Data:
        num_users, num_items = num_nodes(data)
        user, item = split_edges(data, "train")
        node = torch.arange(num_users + num_items, device=user.device)
        src = torch.cat([user, item + num_users, node])
        dst = torch.cat([item + num_users, user, node])
        return Data(edge_index=torch.stack([src, dst]), num_nodes=node.numel())


@functional_transform("random_links")
class RandomLinks(BaseTransform):
    """Link random pairs of nodes in ``pool_mask`` and add self-loops.

    Pairs are drawn with replacement, linked in both directions and merged with the
    existing edges (docs/methods.md 3.6, item 3).

    Args:
        num_pairs: Number of pairs to draw.
        extra: Fraction of all nodes, drawn with replacement, added to the pool.

    Shapes:
        - reads ``edge_index`` ``[2, E]`` and the bool ``pool_mask`` ``[N]``
    """

    def __init__(self, num_pairs: int, extra: float = 0.2) -> None:
        if num_pairs < 0 or not 0 <= extra <= 1:
            raise ValueError(
                "num_pairs must not be negative, extra must be in [0, 1] "
                f"(got {num_pairs}, {extra})"
            )
        self.num_pairs, self.extra = num_pairs, extra

    def forward(self, data: Data) -> Data:
        num_nodes, device = data.num_nodes, data.edge_index.device
        drawn = torch.randint(num_nodes, (int(num_nodes * self.extra),), device=device)
        pool = data.pool_mask.index_fill(0, drawn, True).nonzero().view(-1)
        pairs = self._draw(pool)
        loops = torch.arange(num_nodes, device=device).expand(2, -1)
        edges = torch.cat([pairs, pairs.flip(0), loops, data.edge_index], 1)
        data.edge_index = coalesce(edges, num_nodes=num_nodes)
        return data

    def _draw(self, pool: Tensor) -> Tensor:
        """Draw pairs ``[2, num_pairs]``; ``[2, 0]`` if the pool is empty."""
        if pool.numel() == 0:
            return pool.expand(2, 0)
        shape = (2, self.num_pairs)
        return pool[torch.randint(pool.numel(), shape, device=pool.device)]


@functional_transform("subgraph_mask")
class SubgraphMask(BaseTransform):
    """Remove the edges of nodes in ``seed_mask``, then those of their neighbours.

    The ends of the removed edges are the seeds of the next round (docs/methods.md 3.6,
    item 2). All seeds of a round act at once, so their order does not matter.

    Args:
        depth: Number of rounds.

    Shapes:
        - reads ``edge_index`` ``[2, E]`` and the bool ``seed_mask`` ``[N]``; adds the
          bool ``pool_mask`` ``[N]``, the seeds of all rounds
    """

    def __init__(self, depth: int = 2) -> None:
        if depth < 1:
            raise ValueError(f"depth must be positive (got {depth})")
        self.depth = depth

    def forward(self, data: Data) -> Data:
        edges, seed = data.edge_index, data.seed_mask
        pool = torch.zeros_like(seed)
        for _ in range(self.depth):
            pool = pool | seed
            src, dst = edges
            touched = seed[src] | seed[dst]  # [E]
            seed = _ends(edges[:, touched], seed)
            edges = edges[:, ~touched]
        data.edge_index, data.pool_mask = edges, pool
        return data


def _ends(edges: Tensor, like: Tensor) -> Tensor:
    mask = torch.zeros_like(like)
    mask[edges.view(-1)] = True
    return mask
