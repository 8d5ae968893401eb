"""Masking of the surroundings of some nodes."""

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform


@functional_transform("subgraph_mask")
class SubgraphMask(BaseTransform):
    """Remove all edges of the nodes of ``seed_mask``, then those of what they led to.

    The ends of the removed edges are the seeds of the next round (methods.md 3.6,
    item 2). All seeds of a round act at once: their order does not matter.

    Args:
        depth: The number of rounds.

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
