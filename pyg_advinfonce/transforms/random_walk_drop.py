"""Views of a user-item graph that lack other edges in each layer."""

from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from pyg_advinfonce.transforms.edge_drop import EdgeDrop


@functional_transform("random_walk_drop")
class RandomWalkDrop(BaseTransform):
    """Make one graph a layer, each with edges of its own, as in the random walk of
    `"Self-supervised Graph Learning for Recommendation"
    <https://arxiv.org/abs/2010.10783>`_.

    Args:
        p: The share of edges that each graph drops, as in
            :class:`~pyg_advinfonce.transforms.edge_drop.EdgeDrop`.
        num_layers: The number of graphs.
    """  # noqa: D205

    def __init__(self, p: float, num_layers: int) -> None:
        if num_layers < 1:
            raise ValueError(f"num_layers must be positive (got {num_layers})")
        self.drop, self.num_layers = EdgeDrop(p), num_layers

    def forward(self, data: HeteroData) -> list[HeteroData]:
        return [self.drop(data) for _ in range(self.num_layers)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.drop.p}, {self.num_layers})"
