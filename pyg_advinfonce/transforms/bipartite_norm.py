"""Symmetric normalisation of a user-item graph."""

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from pyg_advinfonce.graph import (
    INTERACTS,
    REV_INTERACTS,
    relation_edges,
    set_train_pairs,
    shared_pairs,
    train_degrees,
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
        user_scale, item_scale = map(_inverse_sqrt, train_degrees(data))  # [U], [I]
        if pairs := shared_pairs(data):
            weight = user_scale.repeat_interleave(pairs.degree)  # [E]
            weight *= item_scale.index_select(0, pairs.item)
            set_train_pairs(data, pairs, edge_weight=weight)
            return data
        for edge_type in (INTERACTS, REV_INTERACTS):
            src, dst = relation_edges(data, edge_type)[0]
            user, item = (src, dst) if edge_type == INTERACTS else (dst, src)
            data[edge_type].edge_weight = user_scale[user] * item_scale[item]
        return data


def _inverse_sqrt(count: Tensor) -> Tensor:
    count = count.to(torch.get_default_dtype())
    return torch.where(count > 0, count.rsqrt(), count.new_zeros(()))
