"""Weighted sum of propagation layers in constant memory."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from pyg_advinfonce.ops.adjacency import CSR, Adjacency
from pyg_advinfonce.ops.propagate import default_propagate_backend, sparse_product

Tables = tuple[Tensor, Tensor]
Rows = tuple[Tensor | None, Tensor | None]


def layer_sum(
    x_user: Tensor,
    x_item: Tensor,
    to_user: Adjacency,
    to_item: Adjacency,
    alpha: Sequence[float],
) -> Tables:
    r"""Return the weighted sum of linear propagation layers of a bipartite graph.

    .. math::
        Z = \sum_{k=0}^{L} \alpha_k A^k X = \alpha_0 X + A (\alpha_1 X + A (\ldots))

    Evaluated in place by Horner's scheme: no layer outlives the next one, and the
    gradient is the same computation on the transposed relations.

    Args:
        x_user: ``[U, D]``.
        x_item: ``[I, D]``.
        to_user: ``[U, I]`` adjacency from items to users.
        to_item: ``[I, U]`` adjacency from users to items.
        alpha: Weights of the layers ``[L + 1]``.

    Returns:
        ``[U, D]`` and ``[I, D]``.
    """
    every = (None, None)
    found, _ = layer_sum_rows(x_user, x_item, to_user, to_item, alpha, every)
    return found


def layer_sum_rows(
    x_user: Tensor,
    x_item: Tensor,
    to_user: Adjacency,
    to_item: Adjacency,
    alpha: Sequence[float],
    rows: Rows,
) -> tuple[Tables, Tables]:
    """Return chosen rows of :func:`layer_sum` and of the tables.

    The last product, and the first one of the gradient, take these rows only. The rows
    of the tables accept sparse gradients.

    Args:
        x_user: As for :func:`layer_sum`.
        x_item: As for :func:`layer_sum`.
        to_user: As for :func:`layer_sum`.
        to_item: As for :func:`layer_sum`.
        alpha: As for :func:`layer_sum`.
        rows: Ascending row numbers of users and of items; None for all rows.

    Returns:
        The rows of the sum, and those of the tables, users first.
    """
    if len(alpha) == 1:
        user, item = map(_rows_of, (x_user, x_item), rows)
        return (alpha[0] * user, alpha[0] * item), (user, item)
    relations = (to_user, to_item)
    user, item, ego_user, ego_item = _LayerSum.apply(
        x_user, x_item, relations, tuple(alpha), rows
    )
    # A whole table stays itself, e.g. a parameter.
    egos = (x_user if ego_user is None else ego_user, x_item)
    return (user, item), (egos[0], x_item if ego_item is None else ego_item)


class _LayerSum(Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        x_user: Tensor,
        x_item: Tensor,
        relations: tuple[Adjacency, Adjacency],
        alpha: tuple[float, ...],
        rows: Rows,
    ) -> tuple[Tensor | None, ...]:
        whole = relations[0].matrix, relations[1].matrix
        part = (
            whole[0] if rows[0] is None else whole[0].rows(rows[0]),
            whole[1] if rows[1] is None else whole[1].rows(rows[1]),
        )
        x = x_user, x_item
        ego = _rows_of(x_user, rows[0]), _rows_of(x_item, rows[1])

        def add(k: int, sums: Tables) -> None:
            for fresh, term in zip(sums, x if k else ego, strict=True):
                fresh.add_(term, alpha=alpha[k])

        ctx.relations, ctx.alpha, ctx.rows, ctx.part = relations, alpha, rows, part
        ctx.backend = backend = default_propagate_backend(x_user.device)
        sums = _horner(x, [*[whole] * (len(alpha) - 2), part], alpha, add, backend)
        return *sums, *(e if e is not t else None for e, t in zip(ego, x, strict=True))

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        grad_user: Tensor,
        grad_item: Tensor,
        *grad_ego: Tensor | None,
    ) -> tuple[Tensor, Tensor, None, None, None]:
        to_user, to_item = ctx.relations
        whole = to_item.transpose, to_user.transpose
        part = (
            whole[0] if ctx.rows[1] is None else ctx.part[1].t(),
            whole[1] if ctx.rows[0] is None else ctx.part[0].t(),
        )
        grads, alpha = (grad_user.contiguous(), grad_item.contiguous()), ctx.alpha

        def add(k: int, sums: Tables) -> None:
            for fresh, grad, row in zip(sums, grads, ctx.rows, strict=True):
                _add_rows(fresh, grad, row, alpha[k])

        matrices = [part, *[whole] * (len(alpha) - 2)]
        sums = _horner(grads, matrices, alpha, add, ctx.backend)
        for fresh, grad, row in zip(sums, grad_ego, ctx.rows, strict=True):
            if grad is not None:
                _add_rows(fresh, grad, row, 1.0)
        return *sums, None, None, None


def _horner(
    x: Tables,
    matrices: Sequence[tuple[CSR, CSR]],
    alpha: Sequence[float],
    add: Callable[[int, Tables], None],
    backend: str,
) -> Tables:
    """Multiply by the matrices in turn; ``add`` adds the term of layer ``k``."""
    last = len(alpha) - 1
    for k, (to_user, to_item) in zip(range(last - 1, -1, -1), matrices, strict=True):
        x = (
            sparse_product(to_user, x[1], backend),
            sparse_product(to_item, x[0], backend),
        )
        if k == last - 1:
            for fresh in x:
                fresh.mul_(alpha[last])
        add(k, x)
    return x


def _rows_of(table: Tensor, row: Tensor | None) -> Tensor:
    return table if row is None else table.index_select(0, row)


def _add_rows(table: Tensor, x: Tensor, row: Tensor | None, alpha: float) -> None:
    """Add to all rows, or to distinct ones, in place."""
    if row is None:
        table.add_(x, alpha=alpha)
    elif x.is_sparse:  # from an embedding: its rows may repeat
        index = row.index_select(0, x._indices()[0]).unsqueeze(0)
        values = x._values()
        table += torch.sparse_coo_tensor(
            index, values, table.shape, device=values.device, check_invariants=False
        )
    else:
        table.index_copy_(0, row, table.index_select(0, row).add_(x, alpha=alpha))
