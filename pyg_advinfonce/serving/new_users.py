"""Embeddings of new users from their items."""

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.utils import coalesce

from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.functional import unit_rows
from pyg_advinfonce.graph import check_rows, train_degrees
from pyg_advinfonce.methods import Method
from pyg_advinfonce.ops import Adjacency, propagate


@torch.no_grad()
def fold_in(
    method: Method, graph: HeteroData, items: Tensor, *, num_users: int | None = None
) -> Tensor:
    r"""Embed new users from their items, without training.

    With a message-passing encoder, the embedding equals that of a trained user with a
    zero layer-0 row. For LightGCN, with the layer weights of training,

    .. math::
        z_u = \sum_{k=1}^{L} \alpha_k \sum_{i \in \mathcal{N}_u}
        \frac{x_i^{(k-1)}}{\sqrt{d_u d_i}}

    where the layers of items and their degrees :math:`d_i` are those of the trained
    graph, without new users. iALS solves for the new users as for trained ones, with
    the final items. For other encoders only the final item embeddings count:

    .. math::
        z_u = \frac{1}{d_u} \sum_{i \in \mathcal{N}_u} z_i - \frac{1}{I} \sum_i z_i

    which is the direction of the first gradient step of a contrastive loss with uniform
    negatives from a zero row. Items without a train pair do not count. The rows of a
    cosine model are normalised.

    Args:
        method: The trained method.
        graph: The graph that it was trained on.
        items: ``[2, P]`` pairs of a new user, numbered from 0, and an item row.
            Repeated pairs count once.
        num_users: ``N``, number of new users (default: the largest user in ``items``
            plus 1).

    Returns:
        ``[N, D]``; dot products with the item embeddings of :meth:`Method.embed
        <pyg_advinfonce.methods.Method.embed>` rank items.

    Raises:
        ValueError: If ``items`` has no pair, or an item or a user is out of range.
        ConfigError: If a user has no item with a train pair, or the model has no
            embeddings whose dot products rank items.
    """
    method.check_embeddings()
    is_empty = items.numel() == 0 and num_users is None
    if items.dim() != 2 or len(items) != 2 or is_empty:
        raise ValueError(f"items must be [2, P], P >= 1 (got {tuple(items.shape)})")
    num_users = int(items[0].max()) + 1 if num_users is None else num_users
    degree = train_degrees(graph)[1]  # [I]
    pairs = _trained_pairs(items.to(degree.device, torch.long), degree, num_users)
    z_user = method.encoder.new_users(pairs, num_users)
    if z_user is None:
        z_user = _sums_of_items(method, graph, pairs, degree, num_users)
    return unit_rows(z_user) if method.cosine else z_user


def _sums_of_items(
    method: Method, graph: HeteroData, pairs: Tensor, degree: Tensor, num_users: int
) -> Tensor:
    user, item = pairs
    own_degree = torch.bincount(user, minlength=num_users)  # [N]
    messages = method.encoder.item_messages(graph)  # [I, D]
    if messages is not None:
        weight = (own_degree[user] * degree[item]).to(messages.dtype).rsqrt()
    else:
        z_item = method.embed(graph)[1]
        messages = z_item - z_item.mean(0)
        weight = own_degree[user].to(messages.dtype).reciprocal()
    to_new = Adjacency.from_edge_index(
        torch.stack([item, user]), weight, len(messages), num_users
    )
    return propagate(to_new, messages)


def _trained_pairs(items: Tensor, degree: Tensor, num_users: int) -> Tensor:
    """Return the distinct pairs with a trained item; every user must have one."""
    for place, size in enumerate((num_users, len(degree))):
        check_rows(f"items[{place}]", items[place], size)
    pairs: Tensor = coalesce(items[:, degree[items[1]] > 0])
    without = torch.bincount(pairs[0], minlength=num_users) == 0
    if without.any():
        raise ConfigError(
            f"new user {int(without.nonzero()[0])} has no item with a train pair: "
            "add one or leave the user out"
        )
    return pairs
