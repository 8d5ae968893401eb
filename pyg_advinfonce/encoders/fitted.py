"""Encoders that are computed from the train pairs, without a loss."""

from collections.abc import Iterator

import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn.functional import embedding_bag, pad
from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders.base import FittedEncoder
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.functional import check_not_negative, check_positive
from pyg_advinfonce.graph import num_nodes, ragged_places, split_edges, train_degrees
from pyg_advinfonce.keys import pair_keys, pairs_of
from pyg_advinfonce.ops import top_items

_FLOAT, _DOUBLE, _ID = 4, 8, 8

_BLOCK = 2**22
"""Numbers per block of a matrix ``[I, I]`` (32 MB in double precision)."""


class Popularity(FittedEncoder):
    r"""Ranking by number of train pairs, the same for all users.

    .. math::
        s_{ui} = d_i

    See docs/methods.md 1.5.

    Args:
        graph: User-item graph.

    Shapes:
        - **scores:** ``[n, I]``
    """

    count: Tensor

    def __init__(self, graph: HeteroData) -> None:
        super().__init__()
        count = torch.zeros(num_nodes(graph)[1], dtype=torch.long, device="cpu")
        self.register_buffer("count", count)

    def fit(self, graph: HeteroData) -> None:
        self.count.copy_(train_degrees(graph)[1])

    def scores(self, user: Tensor) -> Tensor:
        """Return scores ``[n, I]`` of users ``[n]``."""
        return self.count.expand(len(user), -1)


class _ItemWeights(FittedEncoder):
    """Base class of scorers ``X W``, with the train pairs ``X`` and weights ``W``."""

    start: Tensor  # [U + 1] offsets of the users' items
    item: Tensor  # [E]

    def __init__(self, graph: HeteroData) -> None:
        super().__init__()
        keys = pair_keys(*split_edges(graph, "train")).sort().values
        user, item = pairs_of(keys)
        bounds = torch.arange(num_nodes(graph)[0] + 1, device=user.device)
        start = torch.searchsorted(user, bounds)
        self.register_buffer("start", start, persistent=False)
        self.register_buffer("item", item, persistent=False)

    def _history(self, user: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the number of items of users ``[n]``; each one's row, and the item."""
        start = self.start[user]
        count = self.start[user + 1] - start
        row, place = ragged_places(start, count)
        return count, row, self.item[place]


class ItemKNN(_ItemWeights):
    r"""Item neighbourhoods: cosines of the columns of the user-item matrix.

    .. math::
        s_{uj} = \sum_{i \in \mathcal{N}_u \cap K_j} w_{ij}, \qquad
        w_{ij} = \frac{|\mathcal{N}_i \cap \mathcal{N}_j|}{\sqrt{d_i d_j} + \beta}

    :math:`K_j` are the :math:`k` items other than :math:`j` with the largest positive
    weights; among equal weights, the items with the lower row numbers. The weights are
    computed in blocks. See docs/methods.md 1.6.

    Args:
        graph: User-item graph.
        num_neighbors: Number of neighbours per item.
        shrink: The addend of the denominator, which lowers weights of rare items.

    Shapes:
        - **scores:** ``[n, I]``
    """

    less_memory = "lower model.num_neighbors"

    neighbor: Tensor  # [I, k], ascending per row
    weight: Tensor  # [I, k], zero if there is no such neighbour

    def __init__(
        self, graph: HeteroData, *, num_neighbors: int = 100, shrink: float = 0.0
    ) -> None:
        check_positive(num_neighbors=num_neighbors)
        check_not_negative(shrink=shrink)
        super().__init__(graph)
        self.shrink = shrink
        num_items = num_nodes(graph)[1]
        shape = num_items, min(num_neighbors, num_items)
        neighbor = torch.zeros(shape, dtype=torch.long, device="cpu")
        self.register_buffer("neighbor", neighbor)
        self.register_buffer("weight", torch.zeros(shape, device="cpu"))

    @classmethod
    def bytes_needed(
        cls, num_users: int, num_items: int, *, num_neighbors: int = 100, **options: int
    ) -> int:
        entries = num_items * min(num_neighbors, num_items)
        return 2 * entries * (_ID + _FLOAT)  # with the copy of the best epoch

    def fit(self, graph: HeteroData) -> None:
        norm = train_degrees(graph)[1].cpu().double().sqrt()  # [I]
        neighbor, weight = (
            torch.zeros_like(self.neighbor),
            torch.zeros_like(self.weight),
        )
        for row, count in _co_occurrence(graph):
            similar = count / (norm[row].unsqueeze(1) * norm + self.shrink)
            similar = similar.nan_to_num(0.0)  # of items without pairs
            similar[torch.arange(len(row), device="cpu"), row] = 0.0
            value, column = top_items(similar, neighbor.size(1))
            none = len(norm)  # sorts after all items
            column, order = column.masked_fill(value <= 0, none).sort(1)
            value = value.gather(1, order).masked_fill(column == none, 0.0)
            neighbor[row] = column.masked_fill(column == none, 0).to(neighbor)
            weight[row] = value.to(weight)
        self.neighbor.copy_(neighbor)
        self.weight.copy_(weight)

    def scores(self, user: Tensor) -> Tensor:
        """Return scores ``[n, I]`` of users ``[n]``."""
        _, row, item = self._history(user)
        num_items, width = self.weight.shape
        one = torch.ones_like(item, dtype=self.weight.dtype)
        seen = torch.sparse_coo_tensor(
            torch.stack([item, row]), one, (num_items, len(user))
        )  # [I, n]
        real = self.weight > 0
        target = torch.arange(num_items, device=user.device).unsqueeze(1)
        weights = torch.sparse_coo_tensor(
            torch.stack([target.expand(-1, width)[real], self.neighbor[real]]),
            self.weight[real],
            (num_items, num_items),
            is_coalesced=True,
        )
        found: Tensor = torch.sparse.mm(weights, seen.coalesce()).to_dense()
        return found.t()


class EASE(_ItemWeights):
    r"""Linear autoencoder of `"Embarrassingly Shallow Autoencoders for Sparse Data"
    <https://arxiv.org/abs/1905.03375>`_.

    .. math::
        S = X B, \qquad P = (X^\top X + \lambda I)^{-1}, \qquad
        B_{ij} = -P_{ij} / P_{jj}, \quad B_{jj} = 0

    The inverse is computed in double precision by Cholesky's factor. See
    docs/methods.md 1.7.

    Args:
        graph: User-item graph.
        l2: Weight :math:`\lambda` of the squared norm of :math:`B`.

    Shapes:
        - **scores:** ``[n, I]``
    """  # noqa: D205

    less_memory = (
        "its weights are one matrix of all pairs of items; choose the model itemknn or "
        "ials"
    )

    weight: Tensor  # [I, I]

    def __init__(self, graph: HeteroData, *, l2: float = 500.0) -> None:
        check_positive(l2=l2)
        super().__init__(graph)
        self.l2 = l2
        num_items = num_nodes(graph)[1]
        weight = torch.zeros(num_items, num_items, device="cpu")
        self.register_buffer("weight", weight)

    @classmethod
    def bytes_needed(cls, num_users: int, num_items: int, **options: int) -> int:
        return num_items**2 * (_FLOAT + 2 * _DOUBLE)  # weights, a factor, its inverse

    def fit(self, graph: HeteroData) -> None:
        matrix = torch.empty(self.weight.shape, dtype=torch.double, device="cpu")
        for row, count in _co_occurrence(graph):
            matrix[row] = count
        matrix = matrix.to(self.weight.device)
        matrix.diagonal().add_(self.l2)
        matrix, info = torch.linalg.cholesky_ex(matrix)
        if info.item():
            raise ConfigError(
                f"model.l2 is too small for this data (got {self.l2}): raise it"
            )
        matrix = torch.cholesky_inverse(matrix)
        matrix.div_(-matrix.diagonal().clone()).fill_diagonal_(0.0)
        self.weight.copy_(matrix)

    def scores(self, user: Tensor) -> Tensor:
        """Return scores ``[n, I]`` of users ``[n]``."""
        count, _, item = self._history(user)
        offset = pad(count.cumsum(0), (1, 0))  # [n + 1]
        found: Tensor = embedding_bag(
            item, self.weight, offset, mode="sum", include_last_offset=True
        )
        return found


def _co_occurrence(graph: HeteroData) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield items ``[c]`` and their numbers of common users with all items ``[c, I]``.

    In double precision, on the CPU.
    """
    user, item = split_edges(graph, "train").cpu().numpy()
    one = torch.ones(len(user), dtype=torch.double, device="cpu").numpy()
    seen = csr_array((one, (user, item)), shape=num_nodes(graph))
    by_item = seen.T.tocsr()
    rows = torch.arange(by_item.shape[0], device="cpu")
    for row in rows.split(max(1, _BLOCK // max(1, len(rows)))):
        block = (by_item[row.numpy()] @ seen).toarray()
        yield row, torch.from_numpy(block)
