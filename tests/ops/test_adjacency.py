import pytest
import torch

from pyg_advinfonce.ops import Adjacency, propagate

EDGES = ((0, 1), (0, 3), (1, 1), (2, 0), (2, 6), (3, 1), (4, 6), (0, 6))
WEIGHTS = (0.5, 1.0, 2.0, -1.0, 0.25, 3.0, 0.125, 1.5)


def relation():
    edge_index, weight = torch.tensor(EDGES).t(), torch.tensor(WEIGHTS).double()
    return Adjacency.from_edge_index(edge_index, weight, 5, 7)


def rows(num, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num, 3, generator=generator, dtype=torch.float64)


def dense(csr):
    return csr.to_torch().to_dense()


def test_a_factor_belongs_to_its_edge_in_the_list():
    factor = torch.arange(8.0).double()
    for csr, flipped in ((relation().matrix, False), (relation().transpose, True)):
        expected = torch.zeros(7, 5, dtype=torch.float64)
        for (src, dst), weight, f in zip(EDGES, WEIGHTS, factor, strict=True):
            expected[dst, src] = weight * f
        found = dense(csr.scale(factor))
        assert torch.equal(found.t() if flipped else found, expected)


@pytest.mark.parametrize("backend", ["embedding_bag", "csr", "gather"])
def test_a_dropped_message_is_dropped_forward_and_backward(backend):
    torch.manual_seed(3)
    thinned = relation().drop(0.4)
    torch.manual_seed(3)
    kept = torch.rand(8) >= 0.4
    assert 0 < kept.sum() < 8
    expected = torch.zeros(7, 5, dtype=torch.float64)
    for (src, dst), weight, stays in zip(EDGES, WEIGHTS, kept, strict=True):
        expected[dst, src] = weight / 0.6 if stays else 0.0
    x, seed = rows(5).requires_grad_(), rows(7, seed=1)
    y = propagate(thinned, x, backend=backend)
    torch.testing.assert_close(y, expected @ x)
    (grad,) = torch.autograd.grad(y, x, seed)
    torch.testing.assert_close(grad, expected.t() @ seed)


def test_what_is_kept_is_scaled_up_so_that_the_mean_stays():
    torch.manual_seed(0)
    whole, times = relation(), 4000
    mean = sum(dense(whole.drop(0.3).matrix) for _ in range(times)) / times
    spread = dense(whole.matrix).abs() * (0.3 / 0.7 / times) ** 0.5
    assert ((mean - dense(whole.matrix)).abs() <= 4.5 * spread + 1e-12).all()


def test_nothing_dropped_is_the_same_and_the_old_one_stays():
    whole = relation()
    assert torch.equal(whole.drop(0.0).matrix.value, whole.matrix.value)
    before = whole.matrix.value.clone()
    whole.drop(0.9)
    assert torch.equal(whole.matrix.value, before)
