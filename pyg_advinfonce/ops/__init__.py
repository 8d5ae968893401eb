"""The computations that cost time, each with its backends behind one function."""

from pyg_advinfonce.ops.adjacency import Adjacency
from pyg_advinfonce.ops.edge_attention import edge_attention
from pyg_advinfonce.ops.edge_scores import edge_scores
from pyg_advinfonce.ops.layer_sum import layer_sum
from pyg_advinfonce.ops.log_partition import log_partition
from pyg_advinfonce.ops.propagate import propagate

__all__ = [
    "Adjacency",
    "edge_attention",
    "edge_scores",
    "layer_sum",
    "log_partition",
    "propagate",
]
