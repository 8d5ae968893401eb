"""The weighted sum of all propagation layers, without keeping any of them."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from pyg_advinfonce.ops.adjacency import Adjacency
from pyg_advinfonce.ops.propagate import propagate

Relations = tuple[Adjacency, Adjacency]


def layer_sum(
    x_user: Tensor,
    x_item: Tensor,
    to_user: Adjacency,
    to_item: Adjacency,
    alpha: Sequence[float],
) -> tuple[Tensor, Tensor]:
    r"""Propagate linearly over a bipartite graph and sum the layers up.

    .. math::
        Z = \sum_{k=0}^{L} \alpha_k A^k X = \alpha_0 X + A (\alpha_1 X + A (\ldots))

    Evaluated from the inside out (Horner's scheme), in place: no layer outlives the
    next one, and the gradient is the same computation on the transposed relations.

    Args:
        x_user: ``[U, D]``.
        x_item: ``[I, D]``.
        to_user: The messages from items to users, ``[U, I]``.
        to_item: The messages from users to items, ``[I, U]``.
        alpha: The layers' weights ``[L + 1]``.

    Returns:
        ``[U, D]`` and ``[I, D]``.
    """
    relations = (to_user, to_item)
    found: tuple[Tensor, Tensor] = _LayerSum.apply(
        x_user, x_item, relations, tuple(alpha)
    )
    return found


class _LayerSum(Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        x_user: Tensor,
        x_item: Tensor,
        relations: Relations,
        alpha: tuple[float, ...],
    ) -> tuple[Tensor, Tensor]:
        ctx.relations, ctx.alpha = relations, alpha
        return _horner(x_user, x_item, relations, alpha)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        grad_user: Tensor,
        grad_item: Tensor,
    ) -> tuple[Tensor, Tensor, None, None]:
        to_user, to_item = ctx.relations
        back = (to_item.t(), to_user.t())
        user, item = _horner(
            grad_user.contiguous(), grad_item.contiguous(), back, ctx.alpha
        )
        return user, item, None, None


def _horner(
    x_user: Tensor, x_item: Tensor, relations: Relations, alpha: Sequence[float]
) -> tuple[Tensor, Tensor]:
    to_user, to_item = relations
    user, item = x_user, x_item
    last = len(alpha) - 1
    for k in range(last - 1, -1, -1):
        user, item = propagate(to_user, item), propagate(to_item, user)
        for fresh, x in ((user, x_user), (item, x_item)):
            if k == last - 1:
                fresh.mul_(alpha[last])
            fresh.add_(x, alpha=alpha[k])
    return (user, item) if last else (alpha[0] * x_user, alpha[0] * x_item)
