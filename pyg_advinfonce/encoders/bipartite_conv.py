"""One relation's light graph convolution."""

from torch import Tensor
from torch_geometric.nn import LGConv

from pyg_advinfonce.ops import Adjacency, propagate


class BipartiteConv(LGConv):
    r"""PyG's :class:`~torch_geometric.nn.conv.LGConv` for one relation of a user-item
    graph, with a fused product: :math:`y_i = \sum_j w_{ij} x_j`.

    Shapes:
        - **x:** ``[M, D]`` sources; **adjacency:** ``[N, M]``; **output:** ``[N, D]``
    """  # noqa: D205

    def __init__(self) -> None:
        super().__init__(normalize=False)

    def forward(self, x: Tensor, adjacency: Adjacency) -> Tensor:
        adj_t = adjacency.matrix.to_torch()
        # propagate_type: (x: Tensor, adjacency: Adjacency)
        out: Tensor = self.propagate(adj_t, x=x, adjacency=adjacency)
        return out

    def message_and_aggregate(
        self, adj_t: Tensor, x: Tensor, adjacency: Adjacency
    ) -> Tensor:
        return propagate(adjacency, x)
