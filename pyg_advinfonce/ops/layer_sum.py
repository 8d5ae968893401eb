"""Weighted sum of propagation layers in constant memory."""

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
