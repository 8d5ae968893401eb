import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_advinfonce.functional import angular_margin, info_nce
from pyg_advinfonce.graph import train_degrees
from pyg_advinfonce.losses import BC, InfoNCE
from pyg_advinfonce.objective import Objective, Phase, Supervised
from tests.cases import find, toy_batch, toy_graph, toy_tables


def test_golden_fixture_1():
    margin = 1 - torch.tensor([0.5]).double().sigmoid()
    assert margin.item() == pytest.approx(0.37754067)
    wide = angular_margin(torch.tensor([0.6]).double(), margin)
    assert wide.item() == pytest.approx(0.26283606)
    neg = torch.tensor([[0.5, 0.1, -0.2]]).double()
    assert info_nce(wide / 0.2, neg / 0.2).item() == pytest.approx(1.57178140)


@given(st.floats(0.05, 3), st.integers(1, 9), st.integers(1, 9), st.integers(0, 1000))
@settings(max_examples=30)
def test_without_a_margin_it_is_info_nce(tau, size, num_negatives, seed):
    criterion = find("bc").build(tau=tau, popularity_weight=0.0).double()
    criterion.margin = lambda batch: torch.zeros(size).double()
    tables, batch = toy_tables(seed=seed), toy_batch(size, num_negatives, seed)
    found, expected = criterion(*tables, batch), InfoNCE(tau=tau)(*tables, batch)
    torch.testing.assert_close(found, expected)


def test_the_loss_grows_with_the_margin_up_to_the_cap():
    cosine = torch.full((50,), -0.3).double()
    widest = math.pi - math.acos(-0.3)
    margin = torch.linspace(0, widest, 50, dtype=torch.float64)
    wide = angular_margin(cosine, margin)
    assert (wide.diff() < 0).all()
    beyond = margin + widest
    assert angular_margin(cosine, beyond).tolist() == pytest.approx([-1] * 50)
    assert (angular_margin(cosine, beyond, capped=False).diff() > 0).all()


def test_capped_and_uncapped_differ_for_opposite_pairs():
    tables, batch = toy_tables(), toy_batch()
    with torch.no_grad():  # opposite vectors, far beyond any cap
        tables[1][batch.dst_pos_index] = -tables[0][batch.src_index]
    capped, uncapped = (
        find("bc").build(capped=capped).double()(*tables, batch).item()
        for capped in (True, False)
    )
    assert capped > uncapped


def test_one_table_row_a_degree():
    criterion = find("bc").build()
    degrees, _ = train_degrees(toy_graph())
    assert criterion.user.size(0) == len(set(degrees[degrees > 0].tolist()))
    assert criterion.user_rank[degrees == degrees.max()].unique().tolist() == [
        criterion.user.size(0) - 1
    ]
    assert criterion.item_rank[-1] == 0  # isolated: with the least popular
    assert criterion.item_rank.max() + 1 == criterion.item.size(0)


def test_popularity_alone_makes_the_popularity_loss():
    criterion, batch = find("bc").build(), toy_batch()
    found = criterion.popularity_loss(batch)
    grads = torch.autograd.grad(found, (criterion.user, criterion.item))
    assert all(grad.abs().sum() > 0 for grad in grads)


def test_the_margin_is_constant():
    criterion, batch = find("bc").build(popularity_weight=0.0), toy_batch()
    loss = criterion(*toy_tables(torch.float32), batch)
    grads = torch.autograd.grad(loss, (criterion.user, criterion.item))
    assert all(torch.equal(grad, torch.zeros_like(grad)) for grad in grads)


def test_popularity_learns_first_and_is_then_frozen():
    criterion = find("bc").build(freeze_epoch=2)
    main = Phase("main", Objective({"rec": Supervised(criterion)}))
    popularity, main = criterion.phases(main)
    names = [[p.name for p in (popularity, main) if p.active(e)] for e in range(4)]
    assert names == [["popularity"], ["popularity"], ["main"], ["main"]]
    assert popularity.params == (criterion.user, criterion.item)
    assert not popularity.optimizer([]).defaults["maximize"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"popularity_weight": 1.0}, r"popularity_weight must be in \[0, 1\)"),
        ({"popularity_weight": -0.1}, "popularity_weight must be in"),
        ({"popularity_tau": 0.0}, "popularity_tau must be positive"),
        ({"freeze_epoch": -1}, "freeze_epoch must not be negative"),
        ({"dim": 0}, "dim must be positive"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        BC.from_graph(toy_graph(), **options)
