"""PyG transforms of user-item graphs."""

from pyg_advinfonce.transforms.bipartite_norm import BipartiteNorm
from pyg_advinfonce.transforms.edge_drop import EdgeDrop
from pyg_advinfonce.transforms.joint_graph import JointGraph
from pyg_advinfonce.transforms.node_drop import NodeDrop
from pyg_advinfonce.transforms.random_links import RandomLinks
from pyg_advinfonce.transforms.random_walk_drop import RandomWalkDrop
from pyg_advinfonce.transforms.subgraph_mask import SubgraphMask

__all__ = [
    "BipartiteNorm",
    "EdgeDrop",
    "JointGraph",
    "NodeDrop",
    "RandomLinks",
    "RandomWalkDrop",
    "SubgraphMask",
]
