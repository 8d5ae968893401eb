"""Tables of several processes, here one after the other, are those of one."""

import pytest
import torch

from pyg_advinfonce.ops import columns, draw_table, empty_table, unit_noise_like
from pyg_advinfonce.ranks import Ranks


@pytest.fixture
def be(monkeypatch):
    """Let this process be one of several that exchange nothing."""

    def choose(rank, size):
        found = Ranks.__new__(Ranks)
        found.rank, found.size = rank, size
        monkeypatch.setattr(columns, "dividing", lambda: found)

    return choose


DRAWS = {
    "normal": lambda x: x.normal_(0, 0.3),
    "uniform": lambda x: x.uniform_(-2, 2),
}


@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("width", [2, 13, 16])
@pytest.mark.parametrize("number", [1, 15, 16, 17, 47, 48, 49, 63, 64, 65, 100])
def test_draws_the_table_of_one_process(be, monkeypatch, kind, dtype, width, number):
    monkeypatch.setattr(columns, "DRAWN_ROWS", 16)
    torch.manual_seed(3)
    wanted = torch.empty(number, width, dtype=dtype)
    DRAWS[kind](wanted)
    after = torch.rand(1)
    parts = []
    for rank in range(2):
        be(rank, 2)
        torch.manual_seed(3)
        table = empty_table(number, width).data.to(dtype)
        draw_table(table, width, DRAWS[kind])
        assert torch.equal(torch.rand(1), after)
        parts.append(table)
    assert torch.equal(torch.cat(parts, 1), wanted)


def test_noise_has_the_norm_and_the_numbers_of_one_process(be):
    x = torch.ones(7, 5)
    torch.manual_seed(1)
    wanted = unit_noise_like(x, 5, 1e-12)
    assert torch.allclose(wanted.norm(dim=1), torch.ones(7))
    parts = []
    for rank in range(3):
        be(rank, 3)
        torch.manual_seed(1)
        parts.append(unit_noise_like(columns.own_columns(x), 5, 1e-12))
    assert [part.size(1) for part in parts] == [2, 2, 1]
    assert torch.equal(torch.cat(parts, 1), wanted)


@pytest.mark.parametrize(("size", "number"), [(2, 7), (3, 7), (4, 3), (1, 5)])
def test_shares_are_in_order_and_cover_all(be, size, number):
    found = []
    for rank in range(size):
        be(rank, size)
        found += [*range(number)[columns.dividing().share(number)]]
    assert found == list(range(number))
