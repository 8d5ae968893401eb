"""Samplers of edge batches for training."""

from pyg_advinfonce.loader.edge_sampler import EdgeSampler
from pyg_advinfonce.loader.neighbor_sampler import NeighborEdgeSampler

__all__ = [
    "EdgeSampler",
    "NeighborEdgeSampler",
]
