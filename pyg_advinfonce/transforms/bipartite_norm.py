"""Symmetric normalisation of a user-item graph."""

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform
from torch_geometric.utils import degree

from pyg_advinfonce.graph import (
    INTERACTS,
    REV_INTERACTS,
    num_nodes,
    relation_edges,
    with_edge_index,
)


@functional_transform("bipartite_norm")
class BipartiteNorm(BaseTransform):
    r"""Store each edge's weight :math:`1 / \sqrt{d_u d_i}` on both relations.

    Degrees count train edges. Weights are stored before sampling, so that a sampled
    batch keeps the normalisation of the whole graph. Edges stored as ``adj_t`` are
    converted to ``edge_index``.

    Shapes:
        - adds ``edge_weight`` ``[E]`` to both directions of the interactions
    """

    def forward(self, data: HeteroData) -> HeteroData:
        data = with_edge_index(data)
        num_users, num_items = num_nodes(data)
        user, item = relation_edges(data, INTERACTS)[0]
        user_scale = _inverse_sqrt(degree(user, num_users))  # [U]
        item_scale = _inverse_sqrt(degree(item, num_items))  # [I]
        for edge_type in (INTERACTS, REV_INTERACTS):
            src, dst = relation_edges(data, edge_type)[0]
            user, item = (src, dst) if edge_type == INTERACTS else (dst, src)
            data[edge_type].edge_weight = user_scale[user] * item_scale[item]
        return data


def _inverse_sqrt(count: Tensor) -> Tensor:
    return torch.where(count > 0, count.rsqrt(), count.new_zeros(()))
