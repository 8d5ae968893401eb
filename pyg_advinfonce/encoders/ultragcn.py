"""UltraGCN encoder: embeddings without message passing."""

from collections.abc import Sequence

from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders.base import Embeddings, Encoder
from pyg_advinfonce.encoders.propagation import node_rows
from pyg_advinfonce.functional import check_positive
from pyg_advinfonce.ops import draw_table, empty_table


class UltraGCN(Encoder):
    r"""Embedding tables of `"UltraGCN: Ultra Simplification of Graph Convolutional
    Networks for Recommendation" <https://arxiv.org/abs/2110.15114>`_.

    .. math::
        Z = E

    The encoder passes no messages. The weighted loss
    :class:`~pyg_advinfonce.losses.BCE` and the term
    :class:`~pyg_advinfonce.terms.ItemGraph` take their place.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        dim: Embedding dimension.
        std: Standard deviation of the initial values.

    Shapes:
        - **output:** ``user`` ``[U, D]``, ``item`` ``[I, D]``, one layer
    """  # noqa: D205

    is_separable = True

    def __init__(
        self, num_users: int, num_items: int, dim: int = 64, *, std: float = 1e-4
    ) -> None:
        super().__init__()
        check_positive(dim=dim, std=std)
        self.std = std
        self.dim = dim
        self.user, self.item = empty_table(num_users, dim), empty_table(num_items, dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Reset both tables by normal initialisation."""
        for table in (self.user, self.item):
            draw_table(table, self.dim, lambda x: x.normal_(std=self.std))

    @property
    def num_hops(self) -> int:
        return 0

    def forward(
        self, graph: HeteroData | Sequence[HeteroData], *, perturb: bool | None = None
    ) -> Embeddings:
        user, item = node_rows(graph, self.user, self.item)
        return Embeddings(user, item, ((user, item),))
