"""Contrast of two views of the graph."""

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.graph import message_graph
from pyg_advinfonce.step import Step
from pyg_advinfonce.terms.contrast import Contrast

View: TypeAlias = HeteroData | Sequence[HeteroData]  # one graph, or one a layer


class ViewContrast(Contrast):
    r"""Contrast two views of the graph, drawn once an epoch, as in `"Self-supervised
    Graph Learning for Recommendation" <https://arxiv.org/abs/2010.10783>`_.

    .. math::
        \mathrm{NCE}(Z(\mathcal{G}'), Z(\mathcal{G}''))

    of :class:`~pyg_advinfonce.terms.contrast.Contrast`, with the embeddings of all
    users ``[U, D]`` and items ``[I, D]`` on each view. Where the authors' code sums
    over a batch's nodes, repeated ones included, this is the mean over its different
    nodes (methods.md 3.1).

    Args:
        draw: Returns a new view of the graph, with weights, e.g.
            ``Compose([EdgeDrop(0.1), BipartiteNorm()])``.
        tau: The temperature.
        candidates: As for :class:`~pyg_advinfonce.terms.contrast.Contrast`.

    Shapes:
        - **output:** a scalar
    """  # noqa: D205

    def __init__(
        self,
        draw: Callable[[HeteroData], View],
        tau: float = 0.2,
        candidates: Literal["all", "batch"] = "all",
    ) -> None:
        super().__init__(tau, candidates)
        self.draw, self.needs_whole_graph = draw, True
        self.views: tuple[View, ...] = ()

    def on_epoch_start(self, encoder: nn.Module, graph: HeteroData, epoch: int) -> None:
        messages = message_graph(graph)
        self.views = self.draw(messages), self.draw(messages)

    def forward(self, step: Step) -> Tensor:
        first, second = (step.encode(view) for view in self.views)
        return self.contrast(
            (first.user, first.item),
            (second.user, second.item),
            step.batch.user_id,  # a view shows the whole graph
            step.batch.pos_id,
        )
