import pytest
import torch

from pyg_advinfonce.ops import log_partition

SIZES = pytest.mark.parametrize("max_scores", [1, 7, 12, 10**6])


def rows(num, dim=3, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    found = scale * torch.randn(num, dim, generator=generator, dtype=torch.float64)
    return found.requires_grad_()


@SIZES
def test_value_and_gradients_are_those_of_logsumexp(max_scores):
    x, y = rows(4), rows(9, seed=1)
    found = log_partition(x, y, max_scores=max_scores)
    expected = (x @ y.t()).logsumexp(1)
    torch.testing.assert_close(found, expected)
    weight = torch.tensor([0.5, -2.0, 0.0, 3.0])
    grads = (torch.autograd.grad(z, (x, y), weight) for z in (found, expected))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


@SIZES
def test_gradcheck(max_scores):
    x, y = rows(3, 2), rows(5, 2, seed=1)
    keys = {"max_scores": max_scores}
    assert torch.autograd.gradcheck(lambda a, b: log_partition(a, b, **keys), (x, y))


def test_huge_scores_stay_finite():
    x, y = rows(4, scale=1e3), rows(9, seed=1, scale=1e3)
    x, y = (z.detach().float().requires_grad_() for z in (x, y))
    found = log_partition(x, y, max_scores=8)
    found.sum().backward()
    assert found.isfinite().all()
    assert x.grad.isfinite().all()
    assert y.grad.isfinite().all()


@pytest.mark.parametrize(
    ("max_scores", "sizes"), [(8, [8, 8, 8, 8, 4]), (3, [4] * 9), (99, [36])]
)
def test_no_piece_of_scores_is_larger_than_asked(monkeypatch, max_scores, sizes):
    seen, logsumexp, addmm = [], torch.Tensor.logsumexp, torch.addmm

    def forward(scores, *args):
        seen.append(scores.numel())
        return logsumexp(scores, *args)

    def backward(*args):
        seen.append((scores := addmm(*args)).numel())
        return scores

    monkeypatch.setattr(torch.Tensor, "logsumexp", forward)
    monkeypatch.setattr(torch, "addmm", backward)
    total = log_partition(rows(4), rows(9), max_scores=max_scores)
    assert seen == sizes
    total.sum().backward()
    assert seen == 2 * sizes


def test_a_table_larger_than_the_default_piece():
    x, y = rows(2500, 2), rows(2000, 2, seed=1)
    found, expected = log_partition(x, y), (x @ y.t()).logsumexp(1)
    torch.testing.assert_close(found, expected)
    grads = (torch.autograd.grad(z.sum(), (x, y)) for z in (found, expected))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


def test_no_source_row():
    y = rows(5)
    log_partition(rows(0), y).sum().backward()
    assert torch.equal(y.grad, torch.zeros_like(y))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [((2, 3), (4, 2), "agree in D"), ((2, 3), (0, 3), "at least one row")],
)
def test_wrong_shapes(x, y, message):
    with pytest.raises(ValueError, match=message):
        log_partition(torch.zeros(x), torch.zeros(y))
