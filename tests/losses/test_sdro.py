from dataclasses import replace

import pytest
import torch

from pyg_advinfonce.graph import build_graph
from pyg_advinfonce.losses import SDRO, InfoNCE
from pyg_advinfonce.losses.sdro import popular_ratio
from tests import cases, reference
from tests.cases import find, toy_batch, toy_tables

RATIO = torch.tensor([0.0, 0.7, 0.9, 0.6, 0.8]).double()


def losses_of(criterion, losses, groups):
    """Take a step whose per-row losses and groups are given; return the objective."""
    found = torch.tensor(losses).double()
    total, count = criterion._by_group(found, torch.tensor(groups))
    criterion._remember(total, count)
    return (criterion.log_weight.exp() * total / count.clamp(min=1)).sum()


def test_g7():
    criterion = SDRO(RATIO, eta=0.1, group_lr=0.01).double()
    objective = losses_of(criterion, [0.5, 1.5, 2.0], [0, 0, 1])
    assert criterion.group_loss.tolist() == pytest.approx([0.01, 0.02, 0])
    expected = [0.33333322, 0.33366672, 0.33300006]
    assert criterion.log_weight.exp().tolist() == pytest.approx(expected, abs=5e-9)
    assert objective.item() == pytest.approx(1.00066667, abs=5e-9)


def test_an_absent_groups_streaming_loss_stays():
    criterion = SDRO(RATIO, group_lr=0.5).double()
    losses_of(criterion, [1.0, 2.0, 4.0], [0, 1, 2])
    losses_of(criterion, [3.0], [1])
    assert criterion.group_loss.tolist() == [0.5, 2.0, 2.0]


def test_several_steps_are_those_of_the_naive_formula():
    criterion = SDRO(RATIO, eta=0.5, group_lr=0.3).double()
    state = [(0.0, 1 / 3)] * 3
    for losses, groups in (([1.0, 2.0], [0, 2]), ([4.0], [1]), ([0.5, 3.0], [2, 2])):
        found = losses_of(criterion, losses, groups)
        losses = [torch.tensor(x).double() for x in losses]
        streams, weights, objective = reference.streaming_groups(
            losses, groups, state, lr=0.3, eta=0.5
        )
        state = list(zip(streams, weights, strict=True))
        assert criterion.group_loss.tolist() == pytest.approx(streams)
        assert criterion.log_weight.exp().tolist() == pytest.approx(weights)
        assert found.item() == pytest.approx(objective.item())


def test_weights_sum_to_one_and_the_worst_groups_grows():
    criterion = SDRO(RATIO, eta=0.1).double()
    before = criterion.log_weight.exp()
    for _ in range(20):
        losses_of(criterion, [1.0, 3.0, 2.0], [0, 1, 2])
        weights = criterion.log_weight.exp()
        assert weights.sum().item() == pytest.approx(1)
        assert weights[1] > before[1]
        assert weights[0] < before[0]
        before = weights


def test_without_eta_groups_are_balanced(batch):
    criterion, tables = find("sdro").build(eta=0.0).double(), toy_tables()
    found = criterion(*tables, batch)
    groups = criterion.group[batch.src_index]
    means = []
    for group in groups.unique():
        (rows,) = torch.where(groups == group)
        part = cases.EdgeBatch(
            batch.src_index[rows], batch.dst_pos_index[rows], batch.dst_neg_index[rows]
        )
        means.append(InfoNCE()(*tables, part))
    torch.testing.assert_close(found, sum(means) / 3)


@pytest.mark.parametrize("negatives", ["sampled", "in_batch"])
def test_one_group_is_info_nce(batch, negatives):
    criterion = find("sdro").build(thresholds=[], negatives=negatives).double()
    tables = toy_tables()
    expected = InfoNCE(negatives=negatives)(*tables, batch)
    torch.testing.assert_close(criterion(*tables, batch), expected)


def test_the_batch_may_scale(batch):
    tables = toy_tables()
    plain = find("sdro").build().double()(*tables, batch)
    scaled = find("sdro").build(scale_by_batch=True).double()(*tables, batch)
    torch.testing.assert_close(scaled, 5 * plain)


def test_a_step_moves_the_state_and_the_gradient_takes_it_for_constant(batch):
    criterion, tables = find("sdro").build(), toy_tables(torch.float32)
    criterion(*tables, batch).backward()
    assert criterion.group_loss.any()
    assert criterion.log_weight.exp().unique().numel() > 1
    assert not any(buffer.requires_grad for buffer in criterion.buffers())


def test_groups_go_by_global_ids():
    criterion, batch = find("sdro").build(eta=2.0).double(), toy_batch()
    tables = toy_tables()
    expected = criterion.eval()(*tables, batch)
    order = torch.arange(cases.NUM_USERS).flip(0)
    flipped = replace(
        batch, src_index=cases.NUM_USERS - 1 - batch.src_index, src_n_id=order
    )
    found = criterion(tables[0].flip(0), tables[1], flipped)
    torch.testing.assert_close(found, expected)


def test_users_are_grouped_by_their_share_of_popular_items(graph):
    found = popular_ratio(graph)
    expected = reference.popular_ratio(cases.TRAIN, cases.NUM_USERS, cases.NUM_ITEMS)
    assert found.tolist() == pytest.approx(expected)
    assert found[[1, 3, 8]].tolist() == pytest.approx([2 / 3, 1 / 4, 0])
    assert find("sdro").build().group.tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0]


def test_a_threshold_belongs_to_the_group_above():
    assert SDRO(RATIO).group.tolist() == [0, 1, 2, 1, 2]
    graph = build_graph(  # item 0 alone is popular, and is 3 of user 0's 5 items
        cases.pairs(*((u, 0) for u in range(9)), *((0, i) for i in range(1, 5))),
        num_users=9,
        num_items=5,
    )
    assert popular_ratio(graph).tolist() == [0.2] + [1.0] * 8
    assert SDRO.from_graph(graph, thresholds=[0.2]).group.tolist() == [1] * 9


def test_weights_are_told(batch):
    criterion, tables = find("sdro").build(eta=1.0), toy_tables(torch.float32)
    criterion(*tables, batch)
    found = criterion.diagnostics(*tables, batch)
    assert [*found] == ["group_weight_0", "group_weight_1", "group_weight_2"]
    assert sum(found.values()).item() == pytest.approx(1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"thresholds": [0.8, 0.6]}, r"thresholds must ascend \(got \[0.8, 0.6\]\)"),
        ({"thresholds": [0.6, 0.6]}, "thresholds must ascend"),
        ({"group_lr": 1.5}, r"group_lr must be in \[0, 1\] \(got 1.5\)"),
        ({"eta": -0.1}, r"eta must not be negative \(got -0.1\)"),
        ({"negatives": "hard"}, r"'sampled' or 'in_batch' \(got 'hard'\)"),
    ],
)
def test_impossible_options(wrong, message):
    with pytest.raises(ValueError, match=message):
        SDRO(RATIO, **wrong)
