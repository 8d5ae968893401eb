"""How much a node resembles what surrounds it."""

from torch import Tensor

from pyg_advinfonce.functional import unit_rows
from pyg_advinfonce.ops import Adjacency, propagate


def centrality(x: Tensor, adjacency: Adjacency) -> Tensor:
    r"""Compare each node with its neighbours and theirs, by cosine.

    .. math::
        c_i = \cos\Bigl(x_i, \frac{f_i + g_i}{n_i + 10^{-8}}\Bigr), \quad
        f = A_1 x - x, \quad g = A_1 f - f - o \odot x

    where :math:`o = A_1 1` counts a node's links, its own to itself included, and
    :math:`n = A_1 o - o` those at a distance of up to two, as in `"Automated
    Self-Supervised Learning for Recommendation" <https://arxiv.org/abs/2303.07797>`_.

    Args:
        x: ``[N, D]``.
        adjacency: ``[N, N]`` of ones, each node linked to itself: :math:`A_1`.

    Returns:
        ``[N]`` cosines.
    """
    links = propagate(adjacency, x.new_ones(x.size(0), 1))  # [N, 1]
    first = propagate(adjacency, x) - x
    second = propagate(adjacency, first) - first - links * x
    number = propagate(adjacency, links) - links  # [N, 1]
    around = (first + second) / (number + 1e-8)
    return (unit_rows(around) * unit_rows(x)).sum(-1)
