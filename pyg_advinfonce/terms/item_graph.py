"""Item co-occurrence graph of UltraGCN."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn.functional import softplus
from torch_geometric.data import HeteroData

from pyg_advinfonce.functional import check_choice, check_positive
from pyg_advinfonce.graph import num_nodes, split_edges
from pyg_advinfonce.objective import Step, Term
from pyg_advinfonce.ops import edge_scores, total

Form = Literal["code", "paper"]
MAX_PAIRS = 1 << 23  # co-occurring item pairs in memory at once


class ItemGraph(Term):
    r"""Pull users towards the neighbours of their items, as in `"UltraGCN: Ultra
    Simplification of Graph Convolutional Networks for Recommendation"
    <https://arxiv.org/abs/2110.15114>`_.

    .. math::
        \mathcal{L}_I = \sum_b \sum_{j \in S(i_b)} \omega_{i_b j} \,
        \mathrm{softplus}(-\langle e_{u_b}, e_j \rangle), \quad
        G = R^\top R, \quad g_i = \sum_k G_{ik}

    :math:`S(i)` holds the items of the largest weights :math:`\omega_{ij}`; an item is
    usually its own neighbour, since the diagonal of ``G`` is kept. Ties are resolved by
    the smaller index. By default the sum over ``b`` is divided by ``B``.

    Args:
        neighbors: ``[I, S]`` row numbers of the neighbours of each item.
        weights: ``[I, S]`` their weights, 0 if an item has fewer neighbours.
        reduction: ``mean`` or ``sum`` over the batch.
    """  # noqa: D205

    needs_whole_graph = True
    neighbors: Tensor
    weights: Tensor

    def __init__(
        self,
        neighbors: Tensor,
        weights: Tensor,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__()
        check_choice("mean", "sum", reduction=reduction)
        self.reduction = reduction
        self.register_buffer("neighbors", neighbors, persistent=False)
        self.register_buffer("weights", weights, persistent=False)

    @classmethod
    def from_graph(
        cls,
        graph: HeteroData,
        *,
        num_neighbors: int = 10,
        form: Form = "code",
        **options: Any,  # noqa: ANN401
    ) -> Self:
        r"""Build the term from the train edges of a graph.

        Args:
            graph: The user-item graph.
            num_neighbors: Maximum number of neighbours per item.
            form: ``code`` is :math:`\omega_{ij} = G_{ij} \sqrt{g_i + 1} / (g_i
                \sqrt{g_j + 1})`, as in the authors' code; ``paper`` is
                :math:`G_{ij} / (g_i - G_{ii}) \cdot \sqrt{g_i / g_j}` (docs/methods.md
                1.3).
            **options: Further arguments of the class.
        """
        check_positive(num_neighbors=num_neighbors)
        check_choice("code", "paper", form=form)
        edges = split_edges(graph, "train")
        rated = _interactions(edges, num_nodes(graph))
        neighbors, weights = _neighbors(rated, num_neighbors, form)
        return cls(
            torch.from_numpy(neighbors).to(edges.device),
            torch.from_numpy(weights).to(edges.device, torch.get_default_dtype()),
            **options,
        )

    def forward(self, step: Step) -> Tensor:
        batch = step.batch
        if batch.dst_n_id is not None:
            raise ValueError("ItemGraph needs the whole graph, got a sampled batch")
        z = step.embeddings
        user = z.user.index_select(0, batch.src_index)  # [B, D]
        index = self.neighbors.index_select(0, batch.dst_pos_index)  # [B, S]
        weight = self.weights.index_select(0, batch.dst_pos_index)
        scores = total(edge_scores(user, z.item, index))
        loss = torch.linalg.vecdot(weight, softplus(-scores))
        return loss.sum() if self.reduction == "sum" else loss.mean()


def _interactions(edges: Tensor, size: tuple[int, int]) -> csr_array:
    user, item = edges.cpu().long().numpy()
    return csr_array((np.ones(len(user)), (user, item)), shape=size)


def _neighbors(
    rated: csr_array, num_neighbors: int, form: Form
) -> tuple[np.ndarray, np.ndarray]:
    num_items = rated.shape[1]
    shape = (num_items, min(num_neighbors, num_items))
    neighbors, weights = np.zeros(shape, np.int64), np.zeros(shape)
    by_item = rated.T.tocsr()
    total = by_item @ rated.sum(1)  # [I], the row sums g of G
    column = total + 1 if form == "code" else total  # [I]
    for start, stop in _item_ranges(total):
        together = (by_item[start:stop] @ rated).tocsr()  # rows of G
        for row in range(start, stop):
            place = slice(*together.indptr[row - start : row - start + 2])
            col, count = together.indices[place], together.data[place]
            # Within a row the order is that of the weights, with exact ties.
            found, size = _top(col, count * count / column[col], shape[1])
            neighbors[row, : len(found)] = found
            weights[row, : len(found)] = np.sqrt(size)
    return neighbors, weights * _row_factor(total, by_item, form)[:, None]


def _item_ranges(total: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield ranges of items with about ``MAX_PAIRS`` entries."""
    ends = np.flatnonzero(np.diff(total.cumsum() // MAX_PAIRS)) + 1
    bounds = [0, *ends.tolist(), len(total)]
    yield from pairwise(bounds)


def _top(
    col: np.ndarray, size: np.ndarray, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return columns and sizes of the largest entries; ties by smaller column."""
    if len(col) > number:
        least = np.partition(size, -number)[-number]
        col, size = col[size >= least], size[size >= least]
    order = np.lexsort((col, -size))[:number]
    return col[order], size[order]


def _row_factor(total: np.ndarray, by_item: csr_array, form: Form) -> np.ndarray:
    if form == "code":
        return np.sqrt(total + 1) / np.maximum(total, 1)
    others = total - by_item.sum(1)  # G_ii is the item's degree
    return np.where(others > 0, np.sqrt(total) / np.maximum(others, 1), 0.0)
