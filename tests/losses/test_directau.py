import pytest
import torch

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.losses import DirectAU
from tests.cases import toy_batch, toy_tables


def test_g3():
    user = torch.tensor([[1, 0], [0, 1], [-1, 0]]).double()
    item = torch.tensor([[0, 1], [1, 0]]).double()
    index = torch.arange(3)
    batch = EdgeBatch(index, torch.tensor([0, 0, 1]), index.new_empty(3, 0))
    for gamma in (0.0, 1.0, 3.0):
        expected = 2.0 + gamma * -5.45898496 / 2
        assert DirectAU(gamma)(user, item, batch).item() == pytest.approx(expected)


def test_positives_that_agree_leave_uniformity():
    z = torch.ones(3, 2).double()
    batch = toy_batch(3, 0)
    batch = EdgeBatch(*(batch.src_index % 3,) * 2, batch.dst_neg_index)
    assert DirectAU()(z, z, batch).item() == pytest.approx(0.0, abs=1e-12)


def test_repeated_rows_count():
    tables = toy_tables()
    user, item = torch.tensor([0, 1, 0]), torch.tensor([2, 3, 2])
    twice = DirectAU()(*tables, EdgeBatch(user, item, user.new_empty(3, 0)))
    once = DirectAU()(*tables, EdgeBatch(user[:2], item[:2], user.new_empty(2, 0)))
    assert twice.item() != pytest.approx(once.item())


def test_it_ranks_by_inner_product_unless_told():
    assert not DirectAU().cosine
    assert DirectAU(cosine=True).cosine
    assert DirectAU().negatives == "none"


@pytest.mark.parametrize("gamma", [-1.0, float("nan"), float("inf")])
def test_an_impossible_gamma(gamma):
    with pytest.raises(ValueError, match=r"gamma must not be negative \(got"):
        DirectAU(gamma)
