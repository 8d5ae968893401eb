"""Random links among some nodes."""

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform
from torch_geometric.utils import coalesce


@functional_transform("random_links")
class RandomLinks(BaseTransform):
    """Link random pairs of the nodes of ``pool_mask``, and each node to itself.

    Pairs are drawn with replacement, linked in both directions and merged with the
    edges that are there (methods.md 3.6, item 3).

    Args:
        num_pairs: The number of draws.
        extra: Let so large a share of all nodes, drawn with replacement, into the pool.

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
        """Return pairs ``[2, num_pairs]``, none from an empty pool."""
        if pool.numel() == 0:
            return pool.expand(2, 0)
        shape = (2, self.num_pairs)
        return pool[torch.randint(pool.numel(), shape, device=pool.device)]
