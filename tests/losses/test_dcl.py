import math
from dataclasses import replace

import pytest
import torch

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.losses import DCL, InfoNCE
from tests.cases import toy_batch, toy_tables

ONE_ROW = EdgeBatch(torch.tensor([0]), torch.tensor([0]), torch.tensor([[1, 2, 3]]))


def circle(cosines):
    """Return one user, and items at these cosines to it."""
    user = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    items = [[c, math.sqrt(1 - c * c)] for c in cosines]
    return user, torch.tensor(items, dtype=torch.float64).requires_grad_()


def value(cosines, **options):
    return DCL(**options)(*circle(cosines), ONE_ROW).item()


def test_g1():
    loss = value((0.6, 0.5, 0.1, -0.2), tau=0.2, prior=0.1)
    assert loss == pytest.approx(0.37304238, abs=5e-9)


@pytest.mark.parametrize("tau", [0.05, 0.2, 1.0])
def test_without_a_prior_it_is_info_nce(tau):
    tables, batch = toy_tables(), toy_batch(20, 8)
    loss, expected = DCL(tau, 0.0)(*tables, batch), InfoNCE(tau)(*tables, batch)
    torch.testing.assert_close(loss, expected)
    found = torch.autograd.grad(loss, tables)
    for a, b in zip(found, torch.autograd.grad(expected, tables), strict=True):
        torch.testing.assert_close(a, b)


def test_a_greater_prior_forgives_more_where_the_positive_scores_above_the_mean():
    cosines = (0.6, 0.5, 0.1, -0.2)
    losses = [value(cosines, prior=prior) for prior in (0.0, 1e-3, 0.05, 0.1)]
    assert losses == sorted(losses, reverse=True)
    low = (-0.5, 0.5, 0.1, -0.2)
    assert value(low, prior=0.1) > value(low, prior=0.0)


@pytest.mark.parametrize("tau", [0.01, 0.2, 1.0])
def test_the_mass_is_never_below_its_floor(tau):
    user, items = circle((0.9, -0.5, -0.6, -0.7))
    loss = DCL(tau, prior=0.5)(user, items, ONE_ROW)
    floor = 3 * math.exp(-1 / tau)
    expected = math.log1p(floor * math.exp(-0.9 / tau))
    assert loss.item() == pytest.approx(expected, rel=1e-9)
    loss.backward()
    assert items.grad.isfinite().all()
    assert not items.grad[1:].any()  # the floor is a constant


def test_the_floor_is_kept_where_single_precision_underflows():
    user, items = (x.detach().float() for x in circle((1.0, -0.9, -1.0, -1.0)))
    items.requires_grad_()
    loss = DCL(1e-3, prior=0.1)(user, items, ONE_ROW)
    loss.backward()
    assert loss.item() == 0
    assert items.grad.isfinite().all()


def test_a_row_without_negatives_costs_nothing():
    tables, batch = toy_tables(), toy_batch()
    none = torch.zeros(5, 4, dtype=torch.bool)
    loss = DCL()(*tables, replace(batch, neg_mask=none))
    loss.backward()
    assert loss.item() == 0
    assert all(not z.grad.any() for z in tables)


@pytest.mark.parametrize("prior", [-0.1, 1.0, float("nan")])
def test_an_impossible_prior(prior):
    with pytest.raises(ValueError, match=rf"prior must be in \[0, 1\) \(got {prior}\)"):
        DCL(prior=prior)
