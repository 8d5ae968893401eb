import pytest
import torch

from pyg_advinfonce.ops import log_partitions, sum_log_partitions

SIZES = pytest.mark.parametrize("max_scores", [1, 36, 50, 10**6])


def rows(num, dim=3, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    found = scale * torch.randn(num, dim, generator=generator, dtype=torch.float64)
    return found.requires_grad_()


def weights(num):
    return torch.linspace(-2, 3, num, dtype=torch.float64)


def assert_same(found, expected, leaves):
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    grads = (torch.autograd.grad(2 * z, leaves) for z in (found, expected))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@SIZES
def test_value_and_gradients_are_those_of_logsumexp(max_scores):
    x, y, weight = rows(8), rows(9, seed=1), weights(8)
    found = sum_log_partitions(x, y, weight, max_scores=max_scores)
    assert_same(found, (weight * (x @ y.t()).logsumexp(1)).sum(), (x, y))


@SIZES
def test_gradcheck(max_scores):
    x, y, weight = rows(5, 2), rows(5, 2, seed=1), weights(5)
    assert torch.autograd.gradcheck(
        lambda a, b: sum_log_partitions(a, b, weight, max_scores=max_scores), (x, y)
    )


@pytest.mark.parametrize("fixed", [0, 1])
def test_a_constant_table_gets_no_gradient(fixed):
    tables, weight = [rows(4), rows(9, seed=1)], weights(4)
    tables[fixed] = tables[fixed].detach()
    x, y = tables
    expected = weight.dot((x @ y.t()).logsumexp(1))
    assert_same(sum_log_partitions(x, y, weight), expected, (tables[1 - fixed],))


def test_without_gradients_the_value_is_the_same():
    x, y, weight = rows(4), rows(9, seed=1), weights(4)
    expected = sum_log_partitions(x, y, weight)
    with torch.no_grad():
        assert torch.equal(sum_log_partitions(x, y, weight), expected)


def test_single_precision_is_precise():
    x, y, weight = rows(300, 64, scale=0.2), rows(200, 64, seed=1), weights(300)
    leaves = [z.detach().float().requires_grad_() for z in (x, y)]
    found = sum_log_partitions(*leaves, weight.float(), max_scores=1)
    expected = weight.dot((x @ y.t()).logsumexp(1))
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)
    grads = torch.autograd.grad(found, leaves), torch.autograd.grad(expected, (x, y))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=0, atol=1e-6 * b.abs().max())


def test_huge_scores_stay_finite():
    x, y = rows(4, scale=1e3), rows(9, seed=1, scale=1e3)
    x, y = (z.detach().float().requires_grad_() for z in (x, y))
    found = sum_log_partitions(x, y, torch.ones(4), max_scores=8)
    found.backward()
    assert found.isfinite()
    assert x.grad.isfinite().all()
    assert y.grad.isfinite().all()


@pytest.mark.parametrize(
    ("max_scores", "sizes"),
    [(36, [36, 36, 36]), (3, [27, 27, 27, 27]), (999, [108])],
)
def test_no_chunk_of_scores_is_larger_than_asked(monkeypatch, max_scores, sizes):
    seen, softmax = [], torch.Tensor.softmax

    def forward(scores, *args):
        seen.append(scores.numel())
        return softmax(scores, *args)

    monkeypatch.setattr(torch.Tensor, "softmax", forward)
    total = sum_log_partitions(rows(12), rows(9), weights(12), max_scores=max_scores)
    total.backward()
    assert seen == sizes  # each score once, by the pass forward


def test_a_table_larger_than_the_default_chunk():
    x, y = rows(2500, 2), rows(2000, 2, seed=1)
    expected = weights(2500).dot((x @ y.t()).logsumexp(1))
    found = sum_log_partitions(x, y, weights(2500))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_no_source_row():
    y = rows(5)
    sum_log_partitions(rows(0), y, weights(0)).backward()
    assert torch.equal(y.grad, torch.zeros_like(y))


@pytest.mark.parametrize(
    ("x", "y", "weight", "message"),
    [
        ((2, 3), (4, 2), 2, "agree in D"),
        ((2, 3), (0, 3), 2, "at least one row"),
        ((2, 3), (4, 3), 4, r"weight must be \[2\] \(got \[4\]\)"),
    ],
)
def test_wrong_shapes(x, y, weight, message):
    with pytest.raises(ValueError, match=message):
        sum_log_partitions(torch.zeros(x), torch.zeros(y), torch.zeros(weight))


@pytest.fixture
def masked():
    x, y = rows(8), rows(9, seed=1)
    drop = torch.rand(8, 9, generator=torch.Generator().manual_seed(2)) < 0.4
    return x, y, drop


def test_dropped_scores_are_no_part_of_a_row_s_log_sum_exp(masked):
    x, y, drop = masked
    weight = weights(8)
    expected = (x @ y.t()).masked_fill(drop, -torch.inf).logsumexp(1)
    found = log_partitions(x, y, drop)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert_same((weight * found).sum(), (weight * expected).sum(), (x, y))


def test_gradcheck_of_rows(masked):
    x, y, drop = masked
    assert torch.autograd.gradcheck(lambda a, b: log_partitions(a, b, drop), (x, y))


def test_a_row_without_scores_is_very_low_and_finite(masked):
    x, y, drop = masked
    drop[3] = True
    found = log_partitions(x, y, drop)
    assert found[3] < -1e29
    (found[:3].sum() + found[4:].sum()).backward()
    assert not x.grad[3].any()
    assert y.grad.isfinite().all()


def test_a_table_with_itself_has_both_gradients(masked):
    x = masked[0]
    drop = torch.eye(8, dtype=torch.bool)
    expected = (x @ x.t()).masked_fill(drop, -torch.inf).logsumexp(1)
    found = log_partitions(x, x, drop)
    assert_same((weights(8) * found).sum(), (weights(8) * expected).sum(), (x,))
