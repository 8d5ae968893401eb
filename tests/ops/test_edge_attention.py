import pytest
import torch

from pyg_advinfonce.ops import Adjacency, edge_attention
from tests import reference

NUM_DST, NUM_SRC, DIM = 5, 4, 6
# Destination 3 attends to nobody, and nobody attends to source 2.
EDGES = ((0, 0), (1, 0), (3, 0), (0, 1), (3, 2), (0, 4), (1, 4))


def adjacency(edges=EDGES):
    edge_index = torch.tensor(edges).t()
    weight = torch.rand(len(edges))
    return Adjacency.from_edge_index(edge_index, weight, NUM_SRC, NUM_DST)


def tables(scale=1.0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    sizes = (NUM_DST, NUM_SRC, NUM_SRC)
    return tuple(
        (scale * torch.randn(n, DIM, generator=generator, dtype=torch.float64))
        .to(dtype)
        .requires_grad_()
        for n in sizes
    )


@pytest.mark.parametrize("num_heads", [1, 2, 6])
@pytest.mark.parametrize(("scale", "clamp"), [(1.0, 10.0), (2.0, 1.0)])
def test_value_and_gradients_are_those_of_the_naive_formula(num_heads, scale, clamp):
    leaves = tables(scale)
    found = edge_attention(*leaves, adjacency(), num_heads=num_heads, clamp=clamp)
    pairs = {(i, j) for j, i in EDGES}
    expected, _ = reference.attention(*leaves, pairs, num_heads, clamp)
    torch.testing.assert_close(found, expected)
    weight = torch.linspace(-1, 1, NUM_DST * DIM).view(NUM_DST, DIM).double()
    grads = (torch.autograd.grad(y, leaves, weight) for y in (found, expected))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("num_heads", [1, 3])
def test_gradcheck(num_heads):
    messages = adjacency()
    assert torch.autograd.gradcheck(
        lambda *x: edge_attention(*x, messages, num_heads=num_heads), tables()
    )


def test_the_order_of_edges_does_not_matter():
    leaves = tables()
    some, other = (
        edge_attention(*leaves, adjacency(edges), num_heads=2)
        for edges in (EDGES, EDGES[::-1])
    )
    torch.testing.assert_close(some, other)
    grads = (torch.autograd.grad(y.square().sum(), leaves) for y in (some, other))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


def test_rows_of_attention_sum_to_one():
    query, key, _ = tables()
    out = edge_attention(query, key, torch.ones_like(key), adjacency(), num_heads=2)
    expected = torch.ones(NUM_DST, DIM).double()
    expected[3] = 0
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-8 * torch.e**10)


def test_huge_scores_stay_finite():
    leaves = tables(1e3, torch.float32)
    out = edge_attention(*leaves, adjacency(), num_heads=2)
    out.sum().backward()
    assert out.isfinite().all()
    assert all(x.grad.isfinite().all() for x in leaves)


def test_a_number_of_heads_that_does_not_fit():
    with pytest.raises(ValueError, match="num_heads must divide the width 6"):
        edge_attention(*tables(), adjacency(), num_heads=4)
