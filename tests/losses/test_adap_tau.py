import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_advinfonce.graph import build_graph
from pyg_advinfonce.losses import AdapTau, InfoNCE
from pyg_advinfonce.losses.adap_tau import WARM_UP_GAP, temper
from pyg_advinfonce.transforms import BipartiteNorm
from tests import cases, reference
from tests.cases import find, toy_batch, toy_graph, toy_tables

POS, NEG = torch.tensor([0.6]).double(), torch.tensor([[0.5, 0.1, -0.2]]).double()


def test_golden_fixture_2_temperatures():
    scale = temper(torch.tensor([0.2, 1.0, 1.8]).double(), beta=1.0)
    assert (5 * scale).tolist() == pytest.approx([13.591409, 5, 3.06292412], rel=1e-6)


@pytest.mark.parametrize(("inside", "expected"), [(True, -0.449955), (False, -1.12432)])
def test_golden_fixture_2_losses(inside, expected):
    criterion = AdapTau(3, positive_in_denominator=inside)
    scale = 3.06292412
    loss = criterion._contrast(POS * scale, NEG * scale, POS * 5)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_lambert_s_function_is_that_of_bisection():
    losses = torch.linspace(0, 30, 40, dtype=torch.float64)
    for beta in (0.25, 1.5, 40.0):
        expected = reference.adap_tau_scale(losses.tolist(), beta)
        assert temper(losses, beta).tolist() == pytest.approx(expected, rel=1e-9)


def test_equal_losses_give_equal_temperatures():
    assert temper(torch.full((4,), 2.5), 1.0).tolist() == [1.0] * 4


def test_a_larger_loss_gives_a_higher_temperature():
    scale = temper(torch.tensor([-0.3, 0.0, 0.1, 0.7]), 1.0)
    assert (scale.diff() < 0).all()  # of the inverse temperature


@given(st.floats(0.05, 3), st.integers(1, 9), st.integers(1, 9), st.integers(0, 1000))
@settings(max_examples=30)
def test_with_one_temperature_it_is_info_nce(tau, size, num_negatives, seed):
    tables, batch = toy_tables(seed=seed), toy_batch(size, num_negatives, seed)
    found = find("adap-tau").build(tau=tau).double()(*tables, batch)
    # 1 / tau was rounded to single precision before .double()
    expected = InfoNCE(tau=tau)(*tables, batch)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


class Tables(torch.nn.Module):
    """An encoder of fixed embeddings."""

    def __init__(self, user, item):
        super().__init__()
        self.user, self.item = user, item

    def forward(self, graph, perturb=None):
        assert perturb is False
        assert not self.training
        return self


def epoch(criterion, encoder, number, *batches):
    criterion.train()
    criterion.on_epoch_start(encoder, toy_graph(), number)
    for batch in batches:
        criterion(encoder.user, encoder.item, batch)
    return criterion


def test_an_epoch_s_losses_become_the_next_epoch_s_temperatures():
    criterion, encoder = find("adap-tau").build().double(), Tables(*toy_tables())
    batches = [toy_batch(6, 4, seed) for seed in range(3)]
    epoch(criterion, encoder, 0, *batches)
    assert criterion.inverse_tau.tolist() == pytest.approx([5.0] * cases.NUM_USERS)
    seen = {}
    for batch in batches:
        pos, neg = reference.scores(encoder.user, encoder.item, batch, cosines=True)
        for user, c_i, row in zip(batch.src_index.tolist(), pos, neg, strict=True):
            loss = reference.adap_tau([c_i], [row], [torch.tensor(1.0)], 1.0)
            seen.setdefault(user, []).append(loss.item())
    epoch(criterion, encoder, 1)
    means = [sum(values) / len(values) for values in seen.values()]
    scales = dict(zip(seen, reference.adap_tau_scale(means, 1.0), strict=True))
    expected = [5 * scales.get(user, 1.0) for user in range(cases.NUM_USERS)]
    assert len(scales) < cases.NUM_USERS  # somebody was not drawn: keeps w_0
    assert criterion.inverse_tau.tolist() == pytest.approx(expected)
    assert criterion.loss_count.sum() == 0
    epoch(criterion, encoder, 2)  # nothing was remembered
    assert criterion.inverse_tau.tolist() == pytest.approx([5.0] * cases.NUM_USERS)


def test_users_without_samples_may_count_as_loss_0():
    """What the mean over no samples is in the authors' code (docs/methods.md 2.5)."""
    tables, batch = Tables(*toy_tables()), toy_batch(6, 4)
    found = {}
    for unseen in ("skip", "zero"):
        criterion = epoch(find("adap-tau").build(unseen=unseen).double(), tables, 0)
        criterion(tables.user, tables.item, batch)
        means = criterion.loss_sum / criterion.loss_count.clamp(min=1)
        found[unseen] = epoch(criterion, tables, 1).inverse_tau
    expected = reference.adap_tau_scale(means.tolist(), 1.0)
    assert found["zero"].tolist() == pytest.approx([5 * w for w in expected])
    absent = criterion.loss_count.new_ones(cases.NUM_USERS).bool()
    absent[batch.src_index] = False
    assert absent.any()
    assert (found["skip"][absent] == 5).all()
    # A loss of 0 is below the mean: their temperature falls.
    assert (found["zero"][absent] > 5).all()


def test_users_temperatures_scale_the_mass_and_the_base_pulls():
    criterion, encoder = find("adap-tau").build().double(), Tables(*toy_tables())
    epoch(criterion, encoder, 0, *(toy_batch(6, 4, seed) for seed in range(3)))
    epoch(criterion, encoder, 1)
    assert criterion.inverse_tau.unique().numel() > 2
    tables, batch = toy_tables(seed=3), toy_batch()
    found = criterion.eval()(*tables, batch)
    expected = cases.by_adap_tau(criterion, *tables, batch)
    torch.testing.assert_close(found, expected)
    grads = (torch.autograd.grad(loss, tables) for loss in (found, expected))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


def test_the_memory_has_no_gradient():
    criterion, encoder = find("adap-tau").build().double(), Tables(*toy_tables())
    epoch(criterion, encoder, 0, toy_batch())
    assert not criterion.loss_sum.requires_grad
    assert not criterion.inverse_tau.requires_grad


def test_the_base_after_the_warm_up():
    criterion, encoder = find("adap-tau").build(warm_up_epochs=3), Tables(*toy_tables())
    criterion.double()
    assert epoch(criterion, encoder, 2).base.item() == pytest.approx(5)
    edges = [tuple(pair) for pair in cases.TRAIN]
    degree = {u: sum(v == u for v, _ in edges) for u in range(cases.NUM_USERS)}
    degrees = torch.tensor([float(d) for d in degree.values() if d])
    limit = degrees.quantile(0.2).item()
    active = [u for u, d in degree.items() if d > limit]
    pairs = [(u, i) for u, i in edges if u in active]
    z_user, z_item = encoder.user, encoder.item
    cosines = {
        (u, i): reference.cosine(z_user[u], z_item[i]).item()
        for u in active
        for i in range(cases.NUM_ITEMS)
    }
    alike = sum(cosines[pair] for pair in pairs) / len(pairs)
    gap = alike - sum(cosines.values()) / len(cosines)
    room = cases.NUM_ITEMS * len(active) / (2 * len(pairs))
    expected = math.log(room) / gap if gap > 0 else 5
    assert gap > 0, "choose tables whose train pairs are alike"
    assert epoch(criterion, encoder, 3).base.item() == pytest.approx(expected)


def test_golden_fixture_2_base():
    assert 0.4 / math.log(50 * 100 / (2 * 1000)) == pytest.approx(0.43654267)


def test_train_pairs_that_are_less_alike_keep_the_warm_up_s_base():
    user, item = (z.detach() for z in toy_tables())
    user[:], item[:] = 1.0, 1.0
    item[0] = -1.0  # the most popular item, and nobody's
    criterion = find("adap-tau").build(warm_up_epochs=0).double()
    assert epoch(criterion, Tables(user, item), 0).base.item() == pytest.approx(5)


def test_train_pairs_that_are_less_alike_keep_the_assumed_gap_s_base():
    criterion = find("adap-tau").build(warm_up="gap", warm_up_epochs=1).double()
    user, item = torch.ones(cases.NUM_USERS, 1), torch.ones(cases.NUM_ITEMS, 1)
    item[0] = -1.0
    encoder = Tables(user.double(), item.double())
    warm = epoch(criterion, encoder, 0).base.item()
    assert warm != pytest.approx(5)
    assert epoch(criterion, encoder, 1).base.item() == pytest.approx(warm)


def test_a_warm_up_by_the_assumed_gap():
    criterion = find("adap-tau").build(warm_up="gap").double()
    base = epoch(criterion, Tables(*toy_tables()), 0).base.item()
    assert base != pytest.approx(5)
    user = toy_graph()["user", "interacts", "item"].edge_index[0]
    degree = torch.bincount(user, minlength=cases.NUM_USERS).double()
    active = degree > degree[degree > 0].quantile(0.2)
    room = cases.NUM_ITEMS * active.sum() / (2 * degree[active].sum())
    assert base == pytest.approx(math.log(room) / WARM_UP_GAP)


def test_one_temperature_for_all_users():
    criterion, encoder = find("adap-tau").build(per_user=False), Tables(*toy_tables())
    epoch(criterion.double(), encoder, 0, toy_batch())
    assert epoch(criterion, encoder, 1).inverse_tau.unique().tolist() == [5.0]


def test_users_who_have_seen_everything_have_the_given_temperature():
    pairs = cases.pairs(*((u, i) for u in range(3) for i in range(2)))
    graph = BipartiteNorm()(build_graph(pairs, num_users=3, num_items=2))
    criterion = AdapTau(3, warm_up_epochs=0)
    encoder = Tables(*toy_tables(torch.float32, users=3, items=2))
    criterion.on_epoch_start(encoder, graph, 1)
    assert criterion.base.item() == pytest.approx(5)


def test_users_who_have_seen_more_than_half_have_the_given_temperature():
    pairs = cases.pairs((0, 0), (0, 1), (0, 2), (1, 0))
    graph = BipartiteNorm()(build_graph(pairs, num_users=2, num_items=4))
    criterion = AdapTau(2, warm_up="gap")
    criterion.on_epoch_start(Tables(torch.ones(2, 1), torch.ones(4, 1)), graph, 0)
    assert criterion.base.item() == pytest.approx(5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": 0}, "beta must be positive"),
        ({"warm_up_epochs": -1}, "warm_up_epochs must not be negative"),
        ({"warm_up": "x"}, "warm_up must be 'tau' or 'gap'"),
        ({"unseen": "x"}, "unseen must be 'skip' or 'zero'"),
        ({"tau": 0}, "tau must be positive"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        AdapTau(3, **options)


def test_the_remembered_loss_counts_negatives_as_if_drawn_uniformly():
    batch, tables = toy_batch(), toy_tables()
    rare = replace(batch, neg_log_q=torch.full(batch.dst_neg_index.shape, 0.5).log())
    twice = torch.cat([batch.dst_neg_index, batch.dst_neg_index], 1)
    found = []
    for edges in (rare, replace(batch, dst_neg_index=twice), batch):
        criterion = find("adap-tau").build()
        criterion(*tables, edges)
        found.append(criterion.loss_sum)
    torch.testing.assert_close(found[0], found[1])
    assert not torch.allclose(found[0], found[2])
