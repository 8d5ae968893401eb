"""Alternating least squares against one system per row."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from pyg_advinfonce.encoders import IALS
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.graph import num_nodes, split_edges
from tests import cases
from tests.encoders.test_fitted import dense, permuted, random_graph

OPTIONS = {"dim": 5, "unobserved_weight": 0.2, "l2": 0.05, "l2_exponent": 0.7}
GRAPHS = [
    cases.toy_graph(),
    random_graph(),
    random_graph(1, density=0.05),
    random_graph(2, num_users=2),
    random_graph(3, num_items=1),
]


def half(seen, other, *, unobserved_weight, l2, l2_exponent, **_):
    """Solve for each row of ``seen`` in a loop."""
    num_other, dim = other.shape
    found = np.zeros((len(seen), dim))
    for row, items in enumerate(seen):
        matrix = np.zeros((dim, dim))
        target = np.zeros(dim)
        for i in range(num_other):
            weight = items[i] + unobserved_weight
            matrix += weight * np.outer(other[i], other[i])
            target += items[i] * other[i]
        frequency = items.sum() + unobserved_weight * num_other
        matrix += l2 * frequency**l2_exponent * np.eye(dim)
        found[row] = np.linalg.solve(matrix, target)
    return found


def objective(seen, user, item, *, unobserved_weight, l2, l2_exponent, **_):
    """Return the sum that both halves of an epoch minimise."""
    score = user @ item.T
    loss = (seen * (score - 1) ** 2).sum() + unobserved_weight * (score**2).sum()
    for table, degree, others in (
        (user, seen.sum(1), len(item)),
        (item, seen.sum(0), len(user)),
    ):
        frequency = degree + unobserved_weight * others
        loss += l2 * (frequency**l2_exponent * (table**2).sum(1)).sum()
    return loss


@pytest.mark.parametrize("block", [1, 60, 2**22])
@pytest.mark.parametrize("l2_exponent", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("graph", GRAPHS)
def test_epochs_are_those_of_loops(graph, l2_exponent, block, monkeypatch):
    monkeypatch.setattr("pyg_advinfonce.encoders.ials._BLOCK", block)
    options = OPTIONS | {"l2_exponent": l2_exponent}
    encoder, seen = IALS(graph, **options).double(), dense(graph)
    item = encoder.item.numpy().copy()
    for _ in range(3):
        user = half(seen, item, **options)
        item = half(seen.T, user, **options)
        encoder.fit(graph)
    np.testing.assert_allclose(encoder.user, user, atol=1e-10)
    np.testing.assert_allclose(encoder.item, item, atol=1e-10)


def test_tables_in_single_precision_are_close():
    graph = random_graph()
    encoder, seen = IALS(graph, **OPTIONS), dense(graph)
    user = half(seen, encoder.item.double().numpy(), **OPTIONS)
    item = half(seen.T, user, **OPTIONS)
    encoder.fit(graph)
    assert encoder.user.dtype == torch.float32
    np.testing.assert_allclose(encoder.user, user, atol=1e-6)
    np.testing.assert_allclose(encoder.item, item, atol=1e-6)


def test_every_epoch_lowers_the_objective_until_it_rests():
    graph = random_graph()
    encoder, seen = IALS(graph, **OPTIONS).double(), dense(graph)
    found = []
    for _ in range(200):
        encoder.fit(graph)
        tables = encoder.user.numpy(), encoder.item.numpy()
        found.append(objective(seen, *tables, **OPTIONS))
    assert all(b <= a + 1e-9 for a, b in pairwise(found))
    assert found[-1] < 0.9 * found[0]
    assert found[-2] == pytest.approx(found[-1], rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_permuted_users_and_items_have_permuted_rows(seed):
    torch.manual_seed(seed)
    graph, users, items = random_graph(seed), torch.randperm(23), torch.randperm(17)
    first = IALS(graph, **OPTIONS).double()
    other = permuted(graph, users, items)
    second = IALS(other, **OPTIONS).double()
    second.item[items] = first.item
    for _ in range(3):
        first.fit(graph)
        second.fit(other)
    torch.testing.assert_close(second.user[users], first.user)
    torch.testing.assert_close(second.item[items], first.item)


def test_the_same_seed_gives_the_same_bits():
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        graph = random_graph()
        encoder = IALS(graph, **OPTIONS)
        encoder.fit(graph)
        found.append(encoder.state_dict())
    assert all(found[0][name].equal(found[1][name]) for name in ("user", "item"))
    assert not found[0]["item"].equal(found[2]["item"])


def test_first_tables_have_the_deviation_of_std():
    graph = random_graph(num_users=4000)
    encoder = IALS(graph, dim=25, std=0.5)
    assert encoder.user.std().item() == pytest.approx(0.1, rel=0.02)
    assert encoder.item.shape == (num_nodes(graph)[1], 25)


def test_a_row_without_pairs_is_zero():
    graph = random_graph()
    encoder = IALS(graph, **OPTIONS)
    encoder.fit(graph)
    z = encoder(graph)
    assert z.user[-1].eq(0).all()
    assert z.item[-1].eq(0).all()
    assert z.user[split_edges(graph, "train")[0]].ne(0).any(1).all()
    assert z.layers == ((z.user, z.item),)


@pytest.mark.parametrize("key", ["dim", "unobserved_weight", "l2", "std"])
def test_impossible_options_are_named(key):
    with pytest.raises(ValueError, match=rf"^{key} must be positive \(got 0\)"):
        IALS(random_graph(), **{key: 0})
    with pytest.raises(ValueError, match=r"^l2_exponent must not be negative"):
        IALS(random_graph(), l2_exponent=-1.0)


def test_a_system_without_a_solution_is_an_error():
    encoder = IALS(random_graph(), dim=40, l2=1e-300, unobserved_weight=1e-300)
    with pytest.raises(ConfigError, match=r"model.l2 is too small .* \(got 1e-300\)"):
        encoder.fit(random_graph())


def test_the_memory_covers_the_tables():
    held = sum(t.nbytes for t in IALS(random_graph(), dim=8).state_dict().values())
    assert IALS.bytes_needed(23, 17, dim=8) == 2 * held
