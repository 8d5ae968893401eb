import pytest
import torch

from pyg_advinfonce.functional import squares
from pyg_advinfonce.ops import Adjacency, layer_sum, layer_sum_rows

NUM_USERS, NUM_ITEMS, DIM = 4, 6, 3
TO_ITEM = ((0, 1), (0, 3), (1, 1), (2, 0), (2, 5), (0, 5))  # user, item
TO_USER = ((1, 0), (3, 2), (1, 1), (0, 2), (5, 3))  # item, user: another sample


def relation(edges, num_src, num_dst):
    generator = torch.Generator().manual_seed(len(edges))
    edge_index = torch.tensor(edges).t()
    weight = torch.rand(len(edges), generator=generator, dtype=torch.float64)
    matrix = torch.zeros(num_dst, num_src, dtype=torch.float64)
    matrix[edge_index[1], edge_index[0]] = weight
    return Adjacency.from_edge_index(edge_index, weight, num_src, num_dst), matrix


@pytest.fixture
def relations():
    to_user, user_matrix = relation(TO_USER, NUM_ITEMS, NUM_USERS)
    to_item, item_matrix = relation(TO_ITEM, NUM_USERS, NUM_ITEMS)
    joint = torch.zeros(NUM_USERS + NUM_ITEMS, NUM_USERS + NUM_ITEMS).double()
    joint[:NUM_USERS, NUM_USERS:] = user_matrix
    joint[NUM_USERS:, :NUM_USERS] = item_matrix
    return to_user, to_item, joint


@pytest.fixture
def tables():
    generator = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(n, DIM, generator=generator, dtype=torch.float64).requires_grad_()
        for n in (NUM_USERS, NUM_ITEMS)
    )


@pytest.mark.parametrize("alpha", [(1.0,), (0.5, 2.0), (1 / 3,) * 3, (1, 0, -2, 0.5)])
def test_is_the_sum_of_powers(relations, tables, alpha):
    to_user, to_item, joint = relations
    user, item = layer_sum(*tables, to_user, to_item, alpha)
    x = torch.cat(tables)
    wanted = sum(a * torch.matrix_power(joint, k) @ x for k, a in enumerate(alpha))
    torch.testing.assert_close(torch.cat([user, item]), wanted)


@pytest.mark.parametrize("alpha", [(1.0,), (0.5, 2.0), (1, 0, -2, 0.5)])
def test_gradient_of_two_different_relations(relations, tables, alpha):
    to_user, to_item, _ = relations
    assert torch.autograd.gradcheck(
        lambda user, item: layer_sum(user, item, to_user, to_item, alpha), tables
    )


def test_one_output_alone_has_its_gradient(relations, tables):
    to_user, to_item, joint = relations
    _, item = layer_sum(*tables, to_user, to_item, (1.0, 1.0))
    item.sum().backward()
    wanted = (torch.eye(10).double() + joint)[NUM_USERS:].sum(0)  # [U + I]
    found = torch.cat([table.grad[:, 0] for table in tables])
    torch.testing.assert_close(found, wanted)


def test_inputs_are_left_alone(relations, tables):
    to_user, to_item, _ = relations
    before = [table.detach().clone() for table in tables]
    layer_sum(*tables, to_user, to_item, (0.5, 0.5, 0.5))
    assert all(torch.equal(a, b) for a, b in zip(before, tables, strict=True))


ROWS = {
    "users": (torch.tensor([0, 2, 5]), None),
    "items": (None, torch.tensor([1, 4])),
    "both": (torch.tensor([3]), torch.tensor([0, 1, 7])),
    "none": (None, None),
    "empty": (torch.tensor([], dtype=torch.long), None),
}


@pytest.mark.parametrize("alpha", [(0.5, 0.5), (0.2, 0.3, 0.5), (0.0, 0.0, 0.0, 1.0)])
@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_chosen_rows_and_their_gradients_are_those_of_all_rows(rows, alpha, dtype):
    """Bit for bit: a sum over other rows adds zeros."""
    generator = torch.Generator().manual_seed(0)
    pairs = (torch.rand(9, 8, generator=generator) < 0.4).nonzero().t()
    weight = torch.rand(pairs.size(1), generator=generator, dtype=dtype)
    to_user = Adjacency.from_edge_index(pairs.flip(0), weight, 8, 9)
    tables = [
        torch.randn(size, 3, generator=generator, dtype=dtype).requires_grad_()
        for size in (9, 8)
    ]
    whole = layer_sum(*tables, to_user, to_user.t(), alpha)
    expected = [x if r is None else x[r] for x, r in zip(whole, rows, strict=True)]
    found, ego = layer_sum_rows(*tables, to_user, to_user.t(), alpha, rows)
    for a, b, x, table, row in zip(found, expected, ego, tables, rows, strict=True):
        assert torch.equal(a, b)
        assert x is table if row is None else torch.equal(x, table[row])
    seeds = [torch.randn(x.shape, generator=generator, dtype=dtype) for x in found]
    wanted = torch.autograd.grad(expected, tables, seeds)
    for a, b in zip(torch.autograd.grad(found, tables, seeds), wanted, strict=True):
        assert torch.equal(a, b)


def test_rows_of_the_tables_have_gradients_dense_and_sparse():
    edges, weight = torch.tensor([[0, 1], [0, 1]]), torch.ones(2).double()
    to_user = Adjacency.from_edge_index(edges, weight, 2, 4)
    tables = [torch.randn(n, 3, dtype=torch.float64).requires_grad_() for n in (4, 2)]
    rows = (torch.tensor([1, 3]), None)
    index = torch.tensor([0, 1, 1, 0, 1])
    for total in (squares, lambda x, index: x[index].square().sum()):
        _, ego = layer_sum_rows(*tables, to_user, to_user.t(), (0.5, 0.5), rows)
        total(ego[0], index).backward()
        wanted = torch.zeros(4, 1, dtype=torch.float64)
        wanted[1], wanted[3] = 4, 6
        torch.testing.assert_close(tables[0].grad, wanted * tables[0].detach())
        tables[0].grad = None
