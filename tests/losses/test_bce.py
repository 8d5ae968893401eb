import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.graph import build_graph
from pyg_advinfonce.losses import BCE
from tests.cases import NUM_ITEMS, NUM_USERS, pairs, toy_batch, toy_tables

BETA = [[0.61237244, 0.5, 0.8660254], [1, 0.81649658, 1.41421356]]  # fixture G6


def g6():
    return build_graph(pairs((0, 0), (0, 1), (1, 1)), num_users=2, num_items=3)


def zeros():
    """Embeddings of G6's nodes of score 0, whose softplus is log 2."""
    return torch.zeros(2, 1).double(), torch.zeros(3, 1).double()


@pytest.mark.parametrize("user", [0, 1])
@pytest.mark.parametrize("item", [0, 1, 2])
@pytest.mark.parametrize(
    ("weights", "place"), [({"w1": 0.0, "w2": 1.0}, 0), ({"w3": 0.0, "w4": 1.0}, 1)]
)
def test_g6_beta_is_the_weight_of_an_edge(user, item, weights, place):
    off = {"w1": 0.0, "w3": 0.0}
    criterion = BCE.from_graph(g6(), **{**off, **weights})
    edge = [torch.tensor([item]), torch.tensor([[item]])]
    edge[1 - place] = edge[1 - place] * 0
    batch = EdgeBatch(torch.tensor([user]), *edge)
    loss = criterion(*zeros(), batch).item()
    assert loss / math.log(2) == pytest.approx(BETA[user][item], abs=5e-9)


def test_a_user_without_edges_has_no_beta(graph):
    criterion = BCE.from_graph(graph, w1=0.0, w2=1.0, w3=0.0, w4=1.0)
    last = torch.tensor([NUM_USERS - 1])
    batch = EdgeBatch(last, last * 0, torch.tensor([[1, NUM_ITEMS - 1]]))
    tables = toy_tables()
    loss = criterion(*tables, batch)
    loss.backward()
    assert loss.item() == 0
    assert all(table.grad.isfinite().all() for table in tables)


def test_by_default_it_is_plain_binary_cross_entropy(graph):
    """As docs/methods.md 1.3 says: w = (1, 0, 1, 0), one weight for negatives."""
    tables, batch = toy_tables(), toy_batch(5, 4)
    loss = BCE.from_graph(graph)(*tables, batch)
    scores = (tables[0] @ tables[1].t())[batch.src_index]  # [B, I]
    pos = scores.gather(1, batch.dst_pos_index[:, None])
    neg = scores.gather(1, batch.dst_neg_index)
    expected = binary_cross_entropy_with_logits(
        pos, torch.ones_like(pos)
    ) + binary_cross_entropy_with_logits(neg, torch.zeros_like(neg))
    torch.testing.assert_close(loss, expected)


def test_a_sum_is_the_mean_times_the_size_of_the_batch(graph):
    options = {"w2": 2.0, "w4": 3.0, "negative_weight": 5.0}
    tables, batch = toy_tables(), toy_batch(5, 4)
    mean = BCE.from_graph(graph, **options)(*tables, batch)
    total = BCE.from_graph(graph, reduction="sum", **options)(*tables, batch)
    torch.testing.assert_close(total, 5 * mean)


def test_a_masked_negative_counts_as_if_it_were_not_there(graph):
    criterion = BCE.from_graph(graph, w2=1.0, w4=3.0, negative_weight=2.0)
    tables, batch = toy_tables(), toy_batch()
    mask = torch.tensor([[True, False, True, True]] * 5)
    kept = replace(batch, dst_neg_index=batch.dst_neg_index[:, [0, 2, 3]])
    loss = criterion(*tables, replace(batch, neg_mask=mask))
    torch.testing.assert_close(loss, criterion(*tables, kept))


def test_where_all_negatives_are_masked_the_positive_is_left(graph):
    criterion, tables, batch = BCE.from_graph(graph, w4=1.0), toy_tables(), toy_batch()
    masked = replace(batch, neg_mask=torch.zeros(5, 4).bool())
    without = BCE.from_graph(graph, w3=0.0)
    torch.testing.assert_close(criterion(*tables, masked), without(*tables, batch))


def test_in_a_sampled_batch_beta_is_that_of_the_global_ids(graph):
    criterion = BCE.from_graph(graph, w1=0.0, w2=1.0, w3=0.0, w4=2.0)
    (z_user, z_item), batch = toy_tables(), toy_batch()
    users, items = torch.randperm(NUM_USERS), torch.randperm(NUM_ITEMS)
    local = EdgeBatch(
        users.argsort()[batch.src_index],
        items.argsort()[batch.dst_pos_index],
        items.argsort()[batch.dst_neg_index],
        src_n_id=users,
        dst_n_id=items,
    )
    found = criterion(z_user[users], z_item[items], local)
    torch.testing.assert_close(found, criterion(z_user, z_item, batch))


def test_a_sure_score_has_a_finite_loss_and_a_gradient():
    criterion = BCE.from_graph(g6())
    user = torch.tensor([[-300.0], [0.0]], requires_grad=True)
    batch = EdgeBatch(torch.tensor([0]), torch.tensor([0]), torch.tensor([[1]]))
    loss = criterion(user, torch.tensor([[1.0], [-1.0], [0.0]]), batch)
    loss.backward()
    assert loss.item() == pytest.approx(600)
    assert user.grad[0].item() == pytest.approx(-2)


def test_degrees_are_no_state_to_save(graph):
    assert BCE.from_graph(graph).state_dict() == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"w1": -1.0}, r"^w1 must not be negative \(got -1.0\)"),
        ({"w4": float("nan")}, r"^w4 must not be negative \(got nan\)"),
        ({"reduction": "max"}, r"^reduction must be 'mean' or 'sum' \(got 'max'\)"),
    ],
)
def test_impossible_options(graph, options, message):
    with pytest.raises(ValueError, match=message):
        BCE.from_graph(graph, **options)


@pytest.mark.parametrize("name", ["user_degree", "item_degree"])
@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_impossible_degrees(name, value):
    degrees = {"user_degree": torch.ones(2), "item_degree": torch.ones(2)}
    degrees[name] = torch.tensor([1.0, value])
    with pytest.raises(ValueError, match=rf"^{name} must hold .* \(got {value}\)"):
        BCE(**degrees)
