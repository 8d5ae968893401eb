from importlib import import_module

import pytest
import torch

from pyg_advinfonce.ops import draw_columns

BACKENDS = pytest.mark.parametrize("backend", ["halving", "searchsorted"])


@BACKENDS
def test_draws_follow_the_softmax(backend):
    logits = torch.tensor([[1.0, 0.0, -1.0, -1e30], [0.0, 0.0, 0.0, 0.0]])
    torch.manual_seed(0)
    place = draw_columns(logits, 2**16, backend=backend)
    for row, found in zip(logits, place, strict=True):
        share = torch.bincount(found, minlength=4) / 2**16
        torch.testing.assert_close(share, row.softmax(0), rtol=0, atol=0.006)


@BACKENDS
def test_columns_without_mass_are_never_drawn(backend):
    logits = torch.tensor([[-1e30, 0.0, -1e30], [-torch.inf, -torch.inf, 5.0]])
    place = draw_columns(logits, 1000, backend=backend)
    assert (place == torch.tensor([[1], [2]])).all()


@BACKENDS
@pytest.mark.parametrize("draw", [0.0, 1 - 2**-24])
def test_the_least_and_the_largest_draw_have_mass(draw, backend, monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(shape, draw))
    logits = torch.tensor([[-1e30, 0.1, 0.3, -1e30], [-1e30, 0.2, -1e30, -1e30]])
    expected = [[1], [1]] if draw == 0 else [[2], [1]]
    assert draw_columns(logits, 1, backend=backend).tolist() == expected


@BACKENDS
def test_columns_of_what_are_no_numbers_are_columns(backend):
    place = draw_columns(torch.full((2, 3), torch.nan), 5, backend=backend)
    assert ((place >= 0) & (place < 3)).all()


@BACKENDS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("number", [1, 100])
@pytest.mark.parametrize("size", [*range(1, 10), 63, 64, 65])
def test_a_draw_takes_the_first_mass_above_it(size, number, dtype, backend):
    logits = 3 * torch.randn(300, size, generator=torch.Generator().manual_seed(size))
    logits[:, ::3] = -torch.inf  # equal masses
    logits[:, -1] = 1.0
    torch.manual_seed(0)
    place = draw_columns(logits.to(dtype), number, backend=backend)
    torch.manual_seed(0)
    mass = logits.softmax(-1).cumsum(-1)
    draw = torch.rand(300, number) * mass[:, -1:]
    for column in range(size):
        drawn = place == column
        below = mass[:, column - 1 : column] if column else torch.zeros(1)
        assert (draw < mass[:, column : column + 1])[drawn].all()
        assert (draw >= below)[drawn].all()


def test_many_draws_are_searched_in_chunks(monkeypatch):
    logits = torch.randn(7, 5)
    torch.manual_seed(0)
    expected = draw_columns(logits, 3)
    module = import_module("pyg_advinfonce.ops.draw_columns")
    for chunk in (1, 6, 9):
        monkeypatch.setattr(module, "CHUNK", chunk)
        torch.manual_seed(0)
        assert torch.equal(draw_columns(logits, 3), expected)


def test_an_unknown_backend():
    with pytest.raises(ValueError, match=r"must be one of .* \(got 'fast'\)"):
        draw_columns(torch.zeros(1, 2), 1, backend="fast")
