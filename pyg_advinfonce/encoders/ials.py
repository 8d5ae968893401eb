"""iALS: matrix factorisation by alternating least squares."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders.base import Embeddings, FittedEncoder
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.functional import check_not_negative, check_positive
from pyg_advinfonce.graph import num_nodes, split_edges
from pyg_advinfonce.keys import pair_keys, pairs_of

_BLOCK = 2**22
"""Numbers per block of matrices (32 MB in double precision)."""


class IALS(FittedEncoder):
    r"""Matrix factorisation of `"Revisiting the Performance of iALS on Item
    Recommendation Benchmarks" <https://arxiv.org/abs/2110.14037>`_ (Hu, Koren and
    Volinsky, 2008).

    .. math::
        \sum_{(u,i) \in E} (z_u^\top z_i - 1)^2
        + \alpha_0 \sum_{u,i} (z_u^\top z_i)^2
        + \lambda \Bigl( \sum_u (d_u + \alpha_0 I)^\nu \|z_u\|^2
        + \sum_i (d_i + \alpha_0 U)^\nu \|z_i\|^2 \Bigr)

    An epoch solves for all users, then for all items, exactly and in double precision.
    See docs/methods.md 1.8.

    Args:
        graph: User-item graph.
        dim: Embedding dimension.
        unobserved_weight: Weight :math:`\alpha_0` of all pairs, observed or not.
        l2: Weight :math:`\lambda` of the squared norms.
        l2_exponent: Exponent :math:`\nu` of the frequency in the weight of a row's
            norm; 0 weights all rows equally.
        std: Standard deviation of the initial values times the root of ``dim``.

    Shapes:
        - **output:** ``user`` ``[U, D]``, ``item`` ``[I, D]``, one layer
    """  # noqa: D205

    closed_form = False
    less_memory = "lower model.dim"

    user: Tensor
    item: Tensor

    def __init__(
        self,
        graph: HeteroData,
        *,
        dim: int = 64,
        unobserved_weight: float = 0.1,
        l2: float = 0.01,
        l2_exponent: float = 1.0,
        std: float = 0.1,
    ) -> None:
        super().__init__()
        check_positive(dim=dim, unobserved_weight=unobserved_weight, l2=l2, std=std)
        check_not_negative(l2_exponent=l2_exponent)
        self.unobserved_weight = unobserved_weight
        self.l2, self.l2_exponent, self.std = l2, l2_exponent, std
        for name, number in zip(("user", "item"), num_nodes(graph), strict=True):
            self.register_buffer(name, torch.empty(number, dim, device="cpu"))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Reset both tables by normal initialisation."""
        for table in (self.user, self.item):
            torch.nn.init.normal_(table, std=self.std / table.size(1) ** 0.5)

    @classmethod
    def bytes_needed(
        cls, num_users: int, num_items: int, *, dim: int = 64, **options: int
    ) -> int:
        return 2 * 4 * (num_users + num_items) * dim  # with the copy of the best epoch

    def fit(self, graph: HeteroData) -> None:
        pairs = split_edges(graph, "train")
        self._solve(self.user, self.item, pairs)
        self._solve(self.item, self.user, pairs.flip(0))

    def forward(
        self, graph: HeteroData | Sequence[HeteroData], *, perturb: bool | None = None
    ) -> Embeddings:
        return Embeddings(self.user, self.item, ((self.user, self.item),))

    def new_users(self, pairs: Tensor, num_users: int) -> Tensor:
        found = self.item.new_empty(num_users, self.item.size(1))
        self._solve(found, self.item, pairs)
        return found

    def _solve(self, table: Tensor, other: Tensor, pairs: Tensor) -> None:
        """Replace a table by the minimum for the other table.

        Args:
            table: ``[N, D]``.
            other: ``[M, D]``.
            pairs: ``[2, E]``, rows of ``table`` first.
        """
        row, column = pairs_of(pair_keys(*pairs).sort().values)
        count = torch.bincount(row, minlength=len(table))  # [N]
        start = count.cumsum(0) - count
        fixed = other.double()
        gram = self.unobserved_weight * (fixed.t() @ fixed)  # [D, D]
        frequency = count.double() + self.unobserved_weight * len(fixed)
        ridge = self.l2 * frequency**self.l2_exponent  # [N]
        for rows, width in _blocks(count, table.size(1)):
            step = torch.arange(width, device=rows.device)
            is_pair = step < count[rows].unsqueeze(1)  # [n, width]
            place = (start[rows].unsqueeze(1) + step).clamp(max=max(len(row) - 1, 0))
            z = fixed[column[place]] * is_pair.unsqueeze(2)  # [n, width, D]
            matrix = gram + z.mT @ z  # [n, D, D]
            matrix.diagonal(dim1=1, dim2=2).add_(ridge[rows].unsqueeze(1))
            factor, info = torch.linalg.cholesky_ex(matrix)
            if info.any():
                raise ConfigError(
                    f"model.l2 is too small for this data (got {self.l2}): raise it"
                )
            target = z.sum(1).unsqueeze(2)  # [n, D, 1]
            table[rows] = torch.cholesky_solve(target, factor).squeeze(2).to(table)


def _blocks(count: Tensor, dim: int) -> Iterator[tuple[Tensor, int]]:
    """Yield rows with similar counts, and the largest count of each block."""
    order = count.argsort(descending=True, stable=True)
    widths = count[order].tolist()
    first = 0
    while first < len(widths):
        width = widths[first]
        size = max(1, _BLOCK // (max(width, dim) * dim))
        yield order[first : first + size], width
        first += size
