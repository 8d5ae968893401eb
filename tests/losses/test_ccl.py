import pytest
import torch

from pyg_advinfonce.functional import cosine_contrastive
from pyg_advinfonce.losses import CCL
from tests.cases import toy_batch, toy_tables

POS, NEG = torch.tensor([0.6]), torch.tensor([[0.5, 0.1, -0.2]])


def test_golden_fixture_1():
    assert cosine_contrastive(POS, NEG, 10, 0.4).item() == pytest.approx(0.73333333)


def test_it_is_zero_when_nothing_is_left_to_want():
    perfect = torch.ones(2), torch.full((2, 3), 0.4)
    assert cosine_contrastive(*perfect, 10, 0.4).item() == 0
    above = torch.ones(2), torch.tensor([[0.4, 0.4, 0.4], [0.4, 0.5, 0.4]])
    assert cosine_contrastive(*above, 10, 0.4).item() > 0
    below = torch.tensor([1.0, 0.9]), torch.full((2, 3), 0.4)
    assert cosine_contrastive(*below, 10, 0.4).item() > 0


def test_only_negatives_above_the_margin_get_a_gradient():
    neg = NEG.clone().requires_grad_()
    cosine_contrastive(POS, neg, 10, 0.0).backward()
    assert neg.grad.tolist() == [pytest.approx([10 / 3, 10 / 3, 0])]


def test_it_is_linear_in_the_weight():
    found = [cosine_contrastive(POS, NEG, w, 0.0).item() for w in (0.0, 1.0, 3.0)]
    assert found[2] - found[0] == pytest.approx(3 * (found[1] - found[0]))


def test_a_margin_of_one_leaves_the_positives_alone():
    tables, batch = toy_tables(torch.float32), toy_batch()
    losses = [CCL(weight, 1.0)(*tables, batch).item() for weight in (1.0, 200.0)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": 0}, r"weight must be positive \(got 0\)"),
        ({"weight": float("inf")}, "weight must be positive"),
        ({"margin": 1.5}, r"margin must be in \[-1, 1\] \(got 1.5\)"),
        ({"margin": float("nan")}, r"margin must be in \[-1, 1\]"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        CCL(**options)
