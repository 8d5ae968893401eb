from importlib import import_module

import pytest
import torch

from pyg_advinfonce.ops import product

module = import_module("pyg_advinfonce.ops.product")


@pytest.fixture(autouse=True)
def _fresh():
    module._works.cache_clear()
    yield
    module._works.cache_clear()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("size", [(3, 5, 4), (1, 1, 1), (2, 130, 64), (3, 4, 0)])
@pytest.mark.parametrize("turned", [False, True])
def test_the_product_is_that_of_the_rows(size, dtype, turned):
    num_src, num_dst, dim = size
    x, y = (torch.randn(n, 2 * dim)[:, ::2].to(dtype) for n in (num_src, num_dst))
    if turned:
        x, y = (z.t().contiguous().t() for z in (x, y))
    found, expected = product(x, y), x.double() @ y.double().t()
    assert found.dtype == dtype
    error = {torch.float32: 1e-6, torch.float64: 1e-12, torch.bfloat16: 2e-2}[dtype]
    torch.testing.assert_close(found.double(), expected, rtol=error, atol=20 * error)


def test_a_kernel_that_is_missing_or_wrong_is_not_used(monkeypatch):
    x, y = torch.randn(3, 4), torch.randn(5, 4)

    def missing(x, y):
        raise AttributeError("no such operator")

    for kernel in (missing, lambda x, y: torch.zeros(len(x), len(y))):
        monkeypatch.setattr(module, "_onednn", kernel)
        module._works.cache_clear()
        assert torch.equal(product(x, y), x @ y.t())


def test_gradients_are_those_of_the_plain_product():
    generator = torch.Generator().manual_seed(0)
    x, y = (
        torch.randn(n, 4, generator=generator, dtype=torch.float64).requires_grad_()
        for n in (3, 5)
    )
    weight = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    grads = (
        torch.autograd.grad((weight * z).sum(), (x, y))
        for z in (product(x, y), x @ y.t())
    )
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    single = [z.detach().float().requires_grad_() for z in (x, y)]
    (weight.float() * product(*single)).sum().backward()
    for a, b in zip(single, (x, y), strict=True):
        expected = torch.autograd.grad((weight * (x @ y.t())).sum(), b)[0]
        torch.testing.assert_close(a.grad.double(), expected, rtol=0, atol=1e-6)


def test_a_constant_gets_no_gradient():
    x, y = torch.randn(3, 4), torch.randn(5, 4, requires_grad=True)
    product(x, y).sum().backward()
    assert x.grad is None
    torch.testing.assert_close(y.grad, x.sum(0).expand(5, 4))


def test_autocast_does_not_lower_the_precision():
    x, y = torch.randn(3, 4).double(), torch.randn(5, 4).double()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(product(x, y), x @ y.t())
        assert product(x.float(), y.float()).dtype == torch.float32
