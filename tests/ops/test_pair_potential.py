import pytest
import torch

from pyg_advinfonce.ops import log_pair_potential

SIZES = pytest.mark.parametrize("max_scores", [1, 7, 14, 20, 10**6])


def table(num=7, dim=3, scale=1.0):
    generator = torch.Generator().manual_seed(0)
    found = scale * torch.randn(num, dim, generator=generator, dtype=torch.float64)
    return found.requires_grad_()


def naive(x, t):
    pairs = [(x[i] - x[j]) for j in range(len(x)) for i in range(j)]
    return torch.stack([-t * d.square().sum() for d in pairs]).logsumexp(0)


@SIZES
@pytest.mark.parametrize("t", [0.1, 2.0, 1000.0])
def test_value_and_gradient_are_those_of_all_pairs(max_scores, t):
    x = table()
    found, expected = log_pair_potential(x, t, max_scores=max_scores), naive(x, t)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    grads = (torch.autograd.grad(3 * z, x)[0] for z in (found, expected))
    torch.testing.assert_close(*grads, rtol=1e-10, atol=1e-10)


@SIZES
def test_gradcheck(max_scores):
    assert torch.autograd.gradcheck(
        lambda x: log_pair_potential(x, 0.7, max_scores=max_scores), (table(),)
    )


@pytest.mark.parametrize("max_scores", [1, 10**6])
def test_single_precision_is_precise(max_scores):
    x = table(60, 16, 0.25)
    single = x.detach().float().requires_grad_()
    found = log_pair_potential(single, 2.0, max_scores=max_scores)
    expected = naive(x, 2.0)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    (a,), (b,) = (torch.autograd.grad(*z) for z in ((found, single), (expected, x)))
    torch.testing.assert_close(a.double(), b, rtol=0, atol=1e-6 * b.abs().max())


def test_without_gradients_the_value_is_the_same():
    x = table()
    expected = log_pair_potential(x, 2.0)
    with torch.no_grad():
        assert torch.equal(log_pair_potential(x, 2.0), expected)
    assert not log_pair_potential(x.detach(), 2.0).requires_grad


def test_pairs_far_apart_do_not_vanish():
    x = table(scale=100.0).detach().float().requires_grad_()
    found = log_pair_potential(x, 2.0)
    found.backward()
    assert found.item() == pytest.approx(naive(x, 2.0).item(), rel=1e-4)
    assert x.grad.isfinite().all()
