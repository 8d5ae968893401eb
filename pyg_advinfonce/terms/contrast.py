"""Contrastive terms: views, layers, passes and neighbours."""

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.functional import check_choice, check_positive, view_info_nce
from pyg_advinfonce.graph import message_graph
from pyg_advinfonce.objective import Step, Term

Tables = tuple[Tensor, Tensor]  # users' rows [U, D] and items' rows [I, D]


class Contrast(Term):
    r"""InfoNCE between two views of the nodes of a batch.

    .. math::
        \mathrm{NCE}(V, V') = \frac{1}{|T|} \sum_{t \in T} \Bigl[\log \sum_{k \in C}
        e^{c(V_t, V'_k)/\tau} - c(V_t, V'_t)/\tau\Bigr]

    over the nodes ``T`` of a batch; the terms of users and of items are added.

    Args:
        tau: Temperature.
        candidates: ``C``: ``all`` users (items), or those of the ``batch``
            (docs/methods.md D11).
        anchors: ``T``: each of the batch's ``nodes`` once, or the ends of its
            ``edges``, where nodes repeat (docs/methods.md 3.1).
    """

    def __init__(
        self,
        tau: float = 0.2,
        candidates: Literal["all", "batch"] = "batch",
        anchors: Literal["nodes", "edges"] = "nodes",
    ) -> None:
        super().__init__()
        check_choice("all", "batch", candidates=candidates)
        check_choice("nodes", "edges", anchors=anchors)
        check_positive(tau=tau)
        self.tau, self.candidates, self.anchors = tau, candidates, anchors
        self.needs_whole_graph = self.contrasts_all = candidates == "all"
        self.waits = anchors == "nodes" or candidates == "all"  # counts distinct nodes

    def contrast(
        self, first: Tables, second: Tables, users: Tensor, items: Tensor
    ) -> Tensor:
        """Return NCE of users plus NCE of items.

        Args:
            first: First view of all users and items.
            second: Second view.
            users: ``[B]`` row numbers of users; may repeat.
            items: ``[B]`` row numbers of items; may repeat.
        """
        pairs = zip(first, second, (users, items), strict=True)
        user, item = (self._nce(x, y, index) for x, y, index in pairs)
        return user + item

    def _nce(self, anchor: Tensor, candidate: Tensor, index: Tensor) -> Tensor:
        """Contrast the rows numbered ``index [T]`` in two views."""
        if self.anchors == "nodes":
            index = index.unique()
        if self.candidates == "all":
            total = nce_with_all(anchor, candidate, index, self.tau)
            return total / max(1, index.numel())
        rows = anchor.index_select(0, index)  # [T, D]
        return view_info_nce(rows, candidate.index_select(0, index), self.tau)


def nce_with_all(
    anchor: Tensor, candidate: Tensor, index: Tensor, tau: float
) -> Tensor:
    """Sum the InfoNCE of the rows ``index [T]`` with all candidates.

    A repeated row is computed once.
    """
    node, count = index.unique(return_counts=True)
    rows = anchor.index_select(0, node)
    return view_info_nce(rows, candidate, tau, node, count)


class LayerContrast(Contrast):
    r"""Contrast a pass's embeddings with one layer of the same pass, as in `"XSimGCL:
    Towards Extremely Simple Graph Contrastive Learning for Recommendation"
    <https://arxiv.org/abs/2209.02544>`_.

    .. math::
        \mathrm{NCE}(Z, E^{(l)})

    of :class:`~pyg_advinfonce.terms.Contrast`, with ``Z`` the embeddings of
    all users ``[U, D]`` and items ``[I, D]``, and :math:`E^{(l)}` their rows in layer
    ``l``.

    Args:
        layer: ``l``, counted from 1.
        tau: Temperature.
        candidates: As in :class:`~pyg_advinfonce.terms.Contrast`.

    Shapes:
        - **output:** a scalar
    """  # noqa: D205

    def __init__(
        self,
        layer: int = 1,
        tau: float = 0.15,
        candidates: Literal["all", "batch"] = "batch",
    ) -> None:
        super().__init__(tau, candidates)
        check_positive(layer=layer)
        self.layer = layer

    def forward(self, step: Step) -> Tensor:
        z, batch = step.embeddings, step.batch
        return self.contrast(
            (z.user, z.item),
            z.layers[self.layer],
            batch.src_index,
            batch.dst_pos_index,
        )


class NeighborContrast(Term):
    r"""Contrast a layer's rows, which aggregate neighbours of the same type, with layer
    0, from `"Improving Graph Collaborative Filtering with Neighborhood-enriched
    Contrastive Learning" <https://arxiv.org/abs/2202.06200>`_.

    .. math::
        \sum_b \Bigl[\log \sum_v e^{c(E^{(k)}_u, E^{(0)}_v)/\tau}
        - c(E^{(k)}_u, E^{(0)}_u)/\tau\Bigr]

    over all users ``v``, plus ``item_weight`` times the same for items. The term is a
    sum over the batch, including repeated nodes, so it needs a very small weight.

    Args:
        layer: ``k``; an even layer aggregates nodes of the same type.
        tau: Temperature.
        item_weight: Weight of items relative to users.

    Shapes:
        - **output:** a scalar
    """  # noqa: D205

    contrasts_all = needs_whole_graph = waits = True

    def __init__(
        self, layer: int = 2, tau: float = 0.1, item_weight: float = 1.0
    ) -> None:
        super().__init__()
        check_positive(layer=layer, tau=tau)
        self.layer, self.tau = layer, tau
        self.item_weight = item_weight

    def forward(self, step: Step) -> Tensor:
        layers, batch = step.embeddings.layers, step.batch
        (user, item), (x_user, x_item) = layers[self.layer], layers[0]
        return self._sum(user, x_user, batch.src_index) + self.item_weight * self._sum(
            item, x_item, batch.dst_pos_index
        )

    def _sum(self, anchor: Tensor, candidate: Tensor, index: Tensor) -> Tensor:
        return nce_with_all(anchor, candidate, index, self.tau)


class PassContrast(Contrast):
    r"""Contrast two passes of an encoder over the same graph, which differ by noise or
    dropped messages, as in `"Are Graph Augmentations Necessary? Simple Graph
    Contrastive Learning for Recommendation" <https://arxiv.org/abs/2112.08679>`_.

    .. math::
        \mathrm{NCE}(Z', Z'')

    of :class:`~pyg_advinfonce.terms.Contrast`, with the embeddings of all
    users ``[U, D]`` and items ``[I, D]`` after each pass. The first pass is shared with
    the other terms of the step.

    Shapes:
        - **output:** a scalar
    """  # noqa: D205

    def forward(self, step: Step) -> Tensor:
        first, second = step.embeddings, step.encode()
        return self.contrast(
            (first.user, first.item),
            (second.user, second.item),
            step.batch.src_index,
            step.batch.dst_pos_index,
        )


View: TypeAlias = HeteroData | Sequence[HeteroData]  # one graph, or one per layer


class ViewContrast(Contrast):
    r"""Contrast two views of the graph, drawn once per epoch, as in `"Self-supervised
    Graph Learning for Recommendation" <https://arxiv.org/abs/2010.10783>`_.

    .. math::
        \mathrm{NCE}(Z(\mathcal{G}'), Z(\mathcal{G}''))

    of :class:`~pyg_advinfonce.terms.Contrast`, with the embeddings of all
    users ``[U, D]`` and items ``[I, D]`` on each view. The authors' anchors are the
    ends of ``edges`` (docs/methods.md 3.1).

    Args:
        draw: Returns a new view of the graph with edge weights, e.g.
            ``Compose([EdgeDrop(0.1), BipartiteNorm()])``.
        tau: Temperature.
        candidates: As in :class:`~pyg_advinfonce.terms.Contrast`.
        anchors: As in :class:`~pyg_advinfonce.terms.Contrast`.

    Shapes:
        - **output:** a scalar
    """  # noqa: D205

    def __init__(
        self,
        draw: Callable[[HeteroData], View],
        tau: float = 0.2,
        candidates: Literal["all", "batch"] = "all",
        anchors: Literal["nodes", "edges"] = "nodes",
    ) -> None:
        super().__init__(tau, candidates, anchors)
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
            step.batch.user_id,  # global ids: a view is of the whole graph
            step.batch.pos_id,
        )
