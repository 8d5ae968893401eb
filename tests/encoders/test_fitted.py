"""Encoders without a loss against loops over dense matrices in double precision."""

import copy
import pickle

import numpy as np
import pytest
import torch

from pyg_advinfonce.encoders import EASE, FittedEncoder, ItemKNN, Popularity
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.graph import build_graph, num_nodes, split_edges
from tests import cases

SIZES = {"num_users": 23, "num_items": 17}


def random_graph(seed=0, *, density=0.3, num_users=23, num_items=17):
    """Draw a graph whose last user and last item have no pairs."""
    generator = torch.Generator().manual_seed(seed)
    seen = torch.rand(num_users, num_items, generator=generator) < density
    seen[-1], seen[:, -1] = False, False
    return build_graph(seen.nonzero().t(), num_users=num_users, num_items=num_items)


def dense(graph):
    """Return the user-item matrix."""
    seen = np.zeros(num_nodes(graph))
    for user, item in split_edges(graph, "train").t().tolist():
        seen[user, item] = 1.0
    return seen


def fitted(kind, graph, **options):
    """Return a fitted encoder in double precision."""
    encoder = kind(graph, **options).double()
    encoder.fit(graph)
    return encoder


def all_scores(encoder):
    """Score all users, in an order of their own, in chunks."""
    users = torch.arange(len(encoder.start) - 1 if hasattr(encoder, "start") else 23)
    parts = [encoder.scores(part) for part in users.flip(0).split(5)]
    return torch.cat(parts).flip(0).numpy()


def naive_knn(graph, num_neighbors, shrink):
    """Weigh, sort and cut the neighbours of each item in loops."""
    seen = dense(graph)
    num_items = seen.shape[1]
    weights = np.zeros((num_items, num_items))
    for j in range(num_items):
        found = []
        for i in range(num_items):
            common = sum(row[i] * row[j] for row in seen)
            if i != j and common:
                norms = np.sqrt(seen[:, i].sum()) * np.sqrt(seen[:, j].sum())
                found.append((-common / (norms + shrink), i))
        for value, i in sorted(found)[:num_neighbors]:
            weights[i, j] = -value
    return seen @ weights


def naive_ease(graph, l2):
    seen = dense(graph)
    inverse = np.linalg.inv(seen.T @ seen + l2 * np.eye(seen.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return seen @ weights


GRAPHS = [
    cases.toy_graph(),
    random_graph(),
    random_graph(1, density=0.05),
    random_graph(2, num_users=3),
    random_graph(3, num_items=1),
]


@pytest.mark.parametrize("graph", GRAPHS)
def test_popularity_is_the_degree(graph):
    degree = dense(graph).sum(0)
    encoder = Popularity(graph)
    encoder.fit(graph)
    found = encoder.scores(torch.tensor([0, 2, 2]))
    assert found.tolist() == [degree.tolist()] * 3


@pytest.mark.parametrize("block", [1, 40, 2**22])
@pytest.mark.parametrize("shrink", [0.0, 2.5])
@pytest.mark.parametrize("num_neighbors", [1, 3, 100])
@pytest.mark.parametrize("graph", GRAPHS)
def test_itemknn_is_that_of_loops(graph, num_neighbors, shrink, block, monkeypatch):
    monkeypatch.setattr("pyg_advinfonce.encoders.fitted._BLOCK", block)
    options = {"num_neighbors": num_neighbors, "shrink": shrink}
    found = all_scores(fitted(ItemKNN, graph, **options))
    expected = naive_knn(graph, num_neighbors, shrink)
    np.testing.assert_allclose(found[: len(expected)], expected, atol=1e-12)


@pytest.mark.parametrize("block", [1, 40, 2**22])
@pytest.mark.parametrize("l2", [0.5, 500.0])
@pytest.mark.parametrize("graph", GRAPHS)
def test_ease_is_that_of_the_inverse(graph, l2, block, monkeypatch):
    monkeypatch.setattr("pyg_advinfonce.encoders.fitted._BLOCK", block)
    found = all_scores(fitted(EASE, graph, l2=l2))
    np.testing.assert_allclose(found, naive_ease(graph, l2), atol=1e-12)


def test_tables_in_single_precision_are_close():
    graph = random_graph()
    for kind, expected in (
        (EASE, naive_ease(graph, 10.0)),
        (ItemKNN, naive_knn(graph, 100, 0.0)),
    ):
        encoder = kind(graph, **({"l2": 10.0} if kind is EASE else {}))
        encoder.fit(graph)
        found = encoder.scores(torch.arange(23))
        assert found.dtype == torch.float32
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_no_item_is_its_own_neighbour():
    assert fitted(EASE, random_graph()).weight.diagonal().eq(0).all()
    encoder = fitted(ItemKNN, random_graph())
    real = encoder.weight > 0
    own = encoder.neighbor == torch.arange(17).unsqueeze(1)
    assert not (own & real).any()


def permuted(graph, users, items):
    """Return a graph whose user ``u`` has row ``users[u]``, and items likewise."""
    pairs = split_edges(graph, "train")
    pairs = torch.stack([users[pairs[0]], items[pairs[1]]])
    pairs = pairs[:, torch.randperm(pairs.size(1))]
    return build_graph(pairs, **SIZES)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("kind", "options"),
    [(Popularity, {}), (ItemKNN, {}), (ItemKNN, {"shrink": 3.0}), (EASE, {"l2": 2.0})],
)
def test_permuted_users_and_items_have_permuted_scores(kind, options, seed):
    torch.manual_seed(seed)
    graph = random_graph(seed)
    users, items = torch.randperm(23), torch.randperm(17)
    first = all_scores(fitted(kind, graph, **options))
    second = all_scores(fitted(kind, permuted(graph, users, items), **options))
    np.testing.assert_allclose(second[users][:, items], first, atol=1e-12)


@pytest.mark.parametrize("kind", [Popularity, ItemKNN, EASE])
def test_the_same_pairs_give_the_same_bits(kind):
    graph = random_graph()
    first, second = kind(graph), kind(permuted(graph, *map(torch.arange, (23, 17))))
    assert issubclass(kind, FittedEncoder)
    for encoder in (first, second):
        encoder.fit(graph)
        encoder.fit(graph)  # a second one changes nothing
    for name, value in first.state_dict().items():
        assert second.state_dict()[name].equal(value)
    users = torch.tensor([3, 0, 22, 3])
    assert first.scores(users).equal(second.scores(users))


@pytest.mark.parametrize("kind", [Popularity, ItemKNN, EASE])
def test_saved_tables_are_all_that_a_new_encoder_needs(kind):
    graph, users = random_graph(), torch.arange(23)
    encoder, other = kind(graph), kind(graph)
    pairs = {"start", "item"}  # those of the graph are not saved
    assert not pairs & set(encoder.state_dict())
    encoder.fit(graph)
    other.load_state_dict(encoder.state_dict())
    expected = encoder.scores(users)
    for found in (other, copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
        assert found.scores(users).equal(expected)


@pytest.mark.parametrize("kind", [ItemKNN, EASE])
def test_users_without_pairs_have_scores_of_zero(kind):
    encoder = fitted(kind, random_graph())
    assert encoder.scores(torch.tensor([22, 22])).eq(0).all()
    assert encoder.scores(torch.tensor([], dtype=torch.long)).shape == (0, 17)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (ItemKNN, {"num_neighbors": 0}, r"num_neighbors must be positive \(got 0\)"),
        (ItemKNN, {"shrink": -1.0}, r"shrink must not be negative \(got -1.0\)"),
        (EASE, {"l2": 0.0}, r"l2 must be positive \(got 0.0\)"),
    ],
)
def test_impossible_options_are_named(kind, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        kind(random_graph(), **options)


def test_a_matrix_without_an_inverse_is_an_error():
    pairs = torch.tensor([[0, 0], [0, 1]])  # two equal columns
    graph = build_graph(pairs, num_users=1, num_items=2)
    with pytest.raises(ConfigError, match=r"model.l2 is too small .* \(got 1e-30\)"):
        EASE(graph, l2=1e-30).fit(graph)


def test_a_base_class_has_no_fit():
    with pytest.raises(NotImplementedError, match="FittedEncoder has no fit"):
        FittedEncoder().fit(random_graph())


def test_the_memory_covers_the_tables():
    graph = random_graph()
    for kind in (ItemKNN, EASE):
        held = sum(t.nbytes for t in kind(graph).state_dict().values())
        assert kind.bytes_needed(23, 17) >= held > 0
    assert EASE.bytes_needed(10, 200_000) == 20 * 200_000**2


def test_scorers_are_ranked():
    graph = cases.toy_graph()
    for kind in (Popularity, ItemKNN, EASE):
        encoder = fitted(kind, graph)
        found = Evaluator(graph).metrics(encoder, "test")
        assert 0 < found["test/recall@20"] <= 1
