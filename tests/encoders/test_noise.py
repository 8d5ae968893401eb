import pytest
import torch

from pyg_advinfonce.encoders import UniformNoise
from tests import reference


def rows(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(50, 6, generator=generator, dtype=torch.float64).to(dtype)


def test_is_the_naive_formula():
    x = rows()
    torch.manual_seed(1)
    found = UniformNoise(0.3)(x)
    torch.manual_seed(1)
    draw = torch.rand(50, 6, dtype=torch.float64)
    torch.testing.assert_close(found, reference.noisy(x, 0.3, draw))


@pytest.mark.parametrize("eps", [0.1, 1.0])
def test_every_row_moves_by_eps_and_no_entry_changes_its_sign(eps):
    x = rows()
    moved = UniformNoise(eps)(x)
    lengths = (moved - x).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full_like(lengths, eps))
    assert torch.equal(moved.sign(), x.sign())
    assert (moved.abs() >= x.abs()).all()


def test_a_zero_stays_a_zero():
    x = rows()
    x[0], x[1, 2] = 0.0, 0.0
    moved = UniformNoise(0.5)(x)
    assert not moved[0].any()
    assert moved[1, 2] == 0


def test_noise_is_a_constant_and_the_input_is_left_alone():
    x = rows().requires_grad_()
    before = x.detach().clone()
    UniformNoise(0.5)(x).square().sum().backward()
    torch.manual_seed(2)
    y = UniformNoise(0.5)(x)
    (grad,) = torch.autograd.grad(y, x, torch.ones_like(y))
    assert torch.equal(grad, torch.ones_like(x))
    assert torch.equal(x.detach(), before)


def test_no_noise_and_half_precision():
    x = rows()
    assert torch.equal(UniformNoise(0.0)(x), x)
    assert UniformNoise(0.5)(rows(torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize("eps", [-0.1, float("nan"), float("inf")])
def test_an_impossible_length(eps):
    with pytest.raises(ValueError, match=rf"eps must not be negative \(got {eps}\)"):
        UniformNoise(eps)
