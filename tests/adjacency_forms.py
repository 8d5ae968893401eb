"""Graphs whose edges are stored in every form that PyG knows."""

import torch
from torch_geometric import EdgeIndex
from torch_geometric.transforms import ToSparseTensor
from torch_geometric.typing import WITH_TORCH_SPARSE

from pyg_advinfonce.graph import INTERACTS, REV_INTERACTS, message_graph, num_nodes


def as_edge_index_class(graph):
    """Store the edges as EdgeIndex."""
    sizes = num_nodes(graph)
    for edge_type, size in ((INTERACTS, sizes), (REV_INTERACTS, sizes[::-1])):
        index = graph[edge_type].edge_index
        graph[edge_type].edge_index = EdgeIndex(index, sparse_size=size)
    return graph


def as_int32(graph):
    """Store the edges in 32 bits."""
    for edge_type in (INTERACTS, REV_INTERACTS):
        graph[edge_type].edge_index = graph[edge_type].edge_index.int()
    return graph


def as_columns(graph):
    """Store the edges in memory that is not contiguous, and shuffled."""
    for edges in (graph[INTERACTS], graph[REV_INTERACTS]):
        order = torch.randperm(edges.edge_index.size(1))
        edges.edge_index = edges.edge_index[:, order].t().contiguous().t()
        if "edge_weight" in edges:
            edges.edge_weight = edges.edge_weight[order]
    return graph


def with_gradient(graph):
    """Let the weights ask for a gradient, which they do not get."""
    for edges in (graph[INTERACTS], graph[REV_INTERACTS]):
        if "edge_weight" in edges:
            edges.edge_weight.requires_grad_()
    return graph


FORMS = {
    "edge_index": lambda graph: graph,
    "EdgeIndex": as_edge_index_class,
    "CSR": ToSparseTensor(layout=torch.sparse_csr),
    "COO": ToSparseTensor(layout=torch.sparse_coo),
    "int32": as_int32,
    "columns": as_columns,
    "requires_grad": with_gradient,
}
if WITH_TORCH_SPARSE:
    FORMS["SparseTensor"] = ToSparseTensor()


def stored_as(form, graph):
    """Return a copy of a graph's messages in a form of :data:`FORMS`."""
    return FORMS[form](message_graph(graph).clone())
