"""PyG transforms of user-item graphs."""

from pyg_advinfonce.transforms.bipartite_norm import BipartiteNorm

__all__ = ["BipartiteNorm"]
