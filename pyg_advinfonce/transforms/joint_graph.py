"""A user-item graph as one kind of node."""

import torch
from torch_geometric.data import Data, HeteroData
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from pyg_advinfonce.graph import num_nodes, split_edges


@functional_transform("joint_graph")
class JointGraph(BaseTransform):
    """Number users, then items, and link both directions and each node to itself.

    Shapes:
        - **output:** ``edge_index`` ``[2, 2 E + U + I]``, ``num_nodes`` ``U + I``
    """

    def forward(self, data: HeteroData) -> Data:
        num_users, num_items = num_nodes(data)
        user, item = split_edges(data, "train")
        node = torch.arange(num_users + num_items, device=user.device)
        src = torch.cat([user, item + num_users, node])
        dst = torch.cat([item + num_users, user, node])
        return Data(edge_index=torch.stack([src, dst]), num_nodes=node.numel())
