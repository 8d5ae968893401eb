import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.losses import HDCCF, InfoNCE
from tests.cases import toy_batch, toy_tables


@given(st.floats(0.05, 1), st.integers(1, 20), st.integers(0, 1000))
@settings(max_examples=30)
def test_all_switched_off_it_is_info_nce_in_the_batch(tau, size, seed):
    criterion = HDCCF(tau, omega=0.0, users=False, same_type=False)
    tables, batch = toy_tables(seed=seed), toy_batch(size, 0, seed)
    found = criterion(*tables, batch)
    expected = InfoNCE(tau, negatives="in_batch")(*tables, batch)
    torch.testing.assert_close(found, expected)
    if size > 1:
        pairs = (torch.autograd.grad(loss, tables) for loss in (found, expected))
        for a, b in zip(*pairs, strict=True):
            torch.testing.assert_close(a, b)


def test_each_set_of_negatives_adds_to_the_loss():
    tables, batch = toy_tables(), toy_batch(10, 0)
    options = [(False, False), (True, False), (True, True)]
    losses = [HDCCF(users=u, same_type=s)(*tables, batch) for u, s in options]
    assert losses[0] < losses[1] < losses[2]
    assert losses[0] < HDCCF(users=False)(*tables, batch) < losses[2]


def test_a_single_pair_has_no_negatives():
    tables = toy_tables()
    loss = HDCCF()(*tables, toy_batch(1, 0))
    loss.backward()
    assert loss.item() == 0
    assert all(not z.grad.any() for z in tables)


def test_an_equal_user_and_an_equal_item_are_no_negatives():
    user = torch.tensor([0, 0, 1])
    item = torch.tensor([2, 3, 3])
    batch = EdgeBatch(user, item, user.new_empty(3, 0))
    tables = toy_tables()
    alone = EdgeBatch(user[[0, 2]], item[[0, 2]], user.new_empty(2, 0))
    # With users alone the second row has one negative, user 1, as if row 0 were away.
    criterion = HDCCF(omega=0.0, same_type=False)
    losses = []
    for rows in (batch, alone):
        losses.append(criterion(*tables, rows))
    assert losses[0] != losses[1]
    z_user, z_item = (torch.nn.functional.normalize(z) for z in tables)
    s = (z_user @ z_item.t() / 0.2)[:2, 2:4].exp()
    mass = torch.stack(
        [
            s[0, 0] + 2 * s[0, 1] + s[1, 0],
            s[0, 1] + s[0, 0] + s[1, 1],
            s[1, 1] + s[1, 0] + 2 * s[0, 1],
        ]
    )
    pos = torch.stack([s[0, 0], s[0, 1], s[1, 1]])
    torch.testing.assert_close(losses[0], -(pos / mass).log().mean())


def test_where_all_are_at_the_floor_the_masses_are_constant():
    """The positive is far above the others: the correction exceeds their mass."""
    user, item = torch.eye(3).double(), torch.eye(3).double()
    index = torch.arange(3)
    batch = EdgeBatch(index, index, index.new_empty(3, 0))
    loss = HDCCF(0.1, omega=0.4)(user.requires_grad_(), item, batch)
    mass = 4 * 2 * torch.tensor(-10.0).double().exp()
    pos = torch.tensor(10.0).double().exp()
    torch.testing.assert_close(loss, (1 + mass / pos).log())
    loss.backward()
    assert user.grad.isfinite().all()


@pytest.mark.parametrize("omega", [-0.1, 1.0, float("nan")])
def test_an_impossible_omega(omega):
    with pytest.raises(ValueError, match=r"omega must be in \[0, 1\) \(got"):
        HDCCF(omega=omega)
