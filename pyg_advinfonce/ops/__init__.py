"""Expensive operations, each one function with several backends."""

from pyg_advinfonce.ops.adjacency import CSR, Adjacency, silence_sparse_beta
from pyg_advinfonce.ops.columns import (
    apply_linear,
    divide_input,
    draw_table,
    empty_table,
    own_columns,
    total,
    totals,
    unit_columns,
    unit_noise_like,
    whole_columns,
)
from pyg_advinfonce.ops.default_backends import default_backends
from pyg_advinfonce.ops.draw_columns import draw_columns
from pyg_advinfonce.ops.edge_attention import edge_attention
from pyg_advinfonce.ops.edge_scores import (
    MOST_GATHERED,
    default_edge_scores_backend,
    edge_scores,
)
from pyg_advinfonce.ops.layer_sum import layer_sum, layer_sum_rows
from pyg_advinfonce.ops.log_partition import log_partitions, sum_log_partitions
from pyg_advinfonce.ops.pair_potential import log_pair_potential
from pyg_advinfonce.ops.product import product
from pyg_advinfonce.ops.propagate import default_propagate_backend, propagate
from pyg_advinfonce.ops.top_items import top_items

__all__ = [
    "CSR",
    "MOST_GATHERED",
    "Adjacency",
    "apply_linear",
    "default_backends",
    "default_edge_scores_backend",
    "default_propagate_backend",
    "divide_input",
    "draw_columns",
    "draw_table",
    "edge_attention",
    "edge_scores",
    "empty_table",
    "layer_sum",
    "layer_sum_rows",
    "log_pair_potential",
    "log_partitions",
    "own_columns",
    "product",
    "propagate",
    "silence_sparse_beta",
    "sum_log_partitions",
    "top_items",
    "total",
    "totals",
    "unit_columns",
    "unit_noise_like",
    "whole_columns",
]
