"""PyG transforms of user-item graphs."""

from pyg_advinfonce.transforms.bipartite_norm import BipartiteNorm
from pyg_advinfonce.transforms.drop import EdgeDrop, NodeDrop, RandomWalkDrop
from pyg_advinfonce.transforms.joint_graph import JointGraph, RandomLinks, SubgraphMask

__all__ = [
    "BipartiteNorm",
    "EdgeDrop",
    "JointGraph",
    "NodeDrop",
    "RandomLinks",
    "RandomWalkDrop",
    "SubgraphMask",
]
