"""One layer of attention over a graph's edges."""

from torch import Tensor, nn

from pyg_advinfonce.ops import Adjacency, edge_attention


class GraphTransformer(nn.Module):
    r"""Every node averages its neighbours by how well they answer to it.

    .. math::
        y_i = \bigl\Vert_h \sum_{j \in \mathcal{N}(i)} a^h_{ij} W^h_v x_j, \quad
        a^h_{ij} = \frac{e^{s^h_{ij}}}{\sum_k e^{s^h_{ik}} + 10^{-8}}, \quad
        s^h_{ij} = \langle W^h_q x_i, W^h_k x_j \rangle

    Scores are clamped to [-10, 10] and not divided by the root of their width, and
    there is neither bias nor shortcut (methods.md 3.6), in all of which this differs
    from PyG's :class:`~torch_geometric.nn.conv.TransformerConv`.

    Args:
        dim: The width ``D``.
        num_heads: The number of heads, a divisor of ``dim``.

    Shapes:
        - **x:** ``[N, D]``; **adjacency:** ``[N, N]``; **output:** ``[N, D]``
    """

    def __init__(self, dim: int, num_heads: int = 4) -> None:
        super().__init__()
        if dim < 1 or num_heads < 1 or dim % num_heads:
            raise ValueError(f"num_heads must divide dim {dim} (got {num_heads})")
        self.num_heads = num_heads
        self.query, self.key, self.value = (
            nn.Linear(dim, dim, bias=False, device="cpu") for _ in range(3)
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the three weights anew, each by Xavier's uniform rule."""
        for linear in (self.query, self.key, self.value):
            nn.init.xavier_uniform_(linear.weight)

    def forward(self, x: Tensor, adjacency: Adjacency) -> Tensor:
        parts = self.query(x), self.key(x), self.value(x)
        return edge_attention(*parts, adjacency, num_heads=self.num_heads)
