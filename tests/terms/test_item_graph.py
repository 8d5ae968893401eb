import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_advinfonce.encoders import UltraGCN
from pyg_advinfonce.graph import build_graph
from pyg_advinfonce.objective import Step
from pyg_advinfonce.terms import ItemGraph, item_graph
from tests import cases, reference
from tests.cases import DIM, NUM_ITEMS, NUM_USERS, TRAIN, pairs, toy_batch

FORMS = ("code", "paper")


@pytest.fixture(autouse=True)
def _double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def dense(term, num_items):
    """Return the weights as a matrix; places with weight 0 are left out."""
    found = torch.zeros(num_items, num_items)
    for i, (row, weights) in enumerate(zip(term.neighbors, term.weights, strict=True)):
        for j, weight in zip(row.tolist(), weights.tolist(), strict=True):
            found[i, j] += weight
    return found


def test_g6():
    graph = build_graph(pairs((0, 0), (0, 1), (1, 1)), num_users=2, num_items=3)
    omega = dense(ItemGraph.from_graph(graph), 3)
    expected = [[0.5, 0.4330127, 0], [0.38490018, 0.66666667, 0], [0, 0, 0]]
    assert omega.tolist() == [pytest.approx(row, abs=5e-9) for row in expected]


def test_the_paper_s_form_by_hand():
    """G = [[1, 1], [1, 2]], g = (2, 3); the third item occurs with itself alone."""
    graph = build_graph(pairs((0, 0), (0, 1), (1, 1), (2, 2)), num_users=3, num_items=3)
    omega = dense(ItemGraph.from_graph(graph, form="paper"), 3)
    third = (2 / 3) ** 0.5
    expected = [[1, third, 0], [1 / third, 2, 0], [0, 0, 0]]
    assert omega.tolist() == [pytest.approx(row) for row in expected]


@given(st.data())
@settings(max_examples=60)
def test_neighbours_are_those_of_the_naive_formula(data):
    num_users, num_items = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 9))
    pair = st.tuples(st.integers(0, num_users - 1), st.integers(0, num_items - 1))
    edges = data.draw(st.sets(pair, max_size=25))
    number, form = data.draw(st.integers(1, 10)), data.draw(st.sampled_from(FORMS))
    graph = build_graph(pairs(*edges), num_users=num_users, num_items=num_items)
    together = reference.co_occurrence(pairs(*edges), num_users, num_items)
    expected = reference.item_neighbors(together, number, form)
    term = ItemGraph.from_graph(graph, num_neighbors=number, form=form)
    assert term.neighbors.shape == (num_items, min(number, num_items))
    for i, chosen in enumerate(expected):
        count = len(chosen)
        assert term.neighbors[i, :count].tolist() == list(chosen)
        assert term.weights[i, :count].tolist() == pytest.approx(list(chosen.values()))
        assert not term.weights[i, count:].any()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("max_pairs", [1, 20])
def test_pieces_make_no_difference(graph, monkeypatch, form, max_pairs):
    options = {"num_neighbors": 3, "form": form}
    expected = ItemGraph.from_graph(graph, **options)
    monkeypatch.setattr(item_graph, "MAX_PAIRS", max_pairs)
    found = ItemGraph.from_graph(graph, **options)
    assert torch.equal(found.neighbors, expected.neighbors)
    assert torch.equal(found.weights, expected.weights)


def step_of(graph, batch=None, std=1.0):
    torch.manual_seed(0)
    encoder = UltraGCN(NUM_USERS, NUM_ITEMS, DIM, std=std)
    return Step(encoder, graph, toy_batch() if batch is None else batch, 0, 0)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("form", FORMS)
def test_the_loss_and_its_gradients_are_the_naive_ones(graph, reduction, form):
    step = step_of(graph)
    term = ItemGraph.from_graph(graph, num_neighbors=3, form=form, reduction=reduction)
    tables = step.encoder.user, step.encoder.item
    together = reference.co_occurrence(pairs(*TRAIN), NUM_USERS, NUM_ITEMS)
    neighbors = reference.item_neighbors(together, 3, form)
    loss = term(step)
    expected = reference.item_graph(*tables, step.batch, neighbors, reduction)
    torch.testing.assert_close(loss, expected)
    found = torch.autograd.grad(loss, tables)
    wanted = torch.autograd.grad(expected, tables)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)


def test_the_loss_falls_where_users_move_towards_the_neighbours(graph):
    """The weights of docs/methods.md 1.3."""
    step, term = step_of(graph), ItemGraph.from_graph(graph, num_neighbors=3)
    before = term(step)
    with torch.no_grad():
        for user, item in zip(step.batch.src_index, step.batch.dst_pos_index):  # noqa: B905
            near = step.encoder.item[term.neighbors[item]]  # [S, D]
            weight = (term.weights[item] > 0).to(near.dtype)
            step.encoder.user[user] += 0.01 * weight @ near
    assert term(step_again(step)) < before


def step_again(step):
    return Step(step.encoder, step.graph, step.batch, 0, 1)


def test_an_item_without_edges_has_no_neighbours_and_no_loss(graph):
    last = torch.tensor([NUM_ITEMS - 1])
    batch = cases.EdgeBatch(last * 0, last, last[:, None])
    step = step_of(graph, batch)
    loss = ItemGraph.from_graph(graph)(step)
    loss.backward()
    assert loss.item() == 0
    assert step.encoder.item.grad.isfinite().all()


@pytest.mark.parametrize("form", FORMS)
def test_a_graph_without_edges(form):
    graph = build_graph(pairs(), num_users=NUM_USERS, num_items=NUM_ITEMS)
    term = ItemGraph.from_graph(graph, form=form)
    assert not term.weights.any()
    assert term(step_of(graph)).item() == 0


def test_a_large_score_stays_finite(graph):
    step = step_of(graph, std=100.0)
    loss = ItemGraph.from_graph(graph)(step)
    loss.backward()
    assert loss.isfinite()
    assert step.encoder.user.grad.isfinite().all()


def test_neighbours_follow_the_module_and_are_no_state_to_save(graph):
    term = ItemGraph.from_graph(graph)
    assert term.state_dict() == {}
    assert dict(term.named_buffers()).keys() == {"neighbors", "weights"}
    assert term.to(torch.float32).weights.dtype == torch.float32


def test_a_sampled_batch_is_refused(graph):
    batch = toy_batch()
    sampled = cases.replace(batch, dst_n_id=torch.arange(NUM_ITEMS))
    with pytest.raises(ValueError, match="needs the whole graph, got a sample"):
        ItemGraph.from_graph(graph)(step_of(graph, sampled))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_neighbors": 0}, r"^num_neighbors must be positive \(got 0\)"),
        ({"form": "mine"}, r"^form must be 'code' or 'paper' \(got 'mine'\)"),
        ({"reduction": "max"}, r"^reduction must be 'mean' or 'sum' \(got 'max'\)"),
    ],
)
def test_impossible_options(graph, options, message):
    with pytest.raises(ValueError, match=message):
        ItemGraph.from_graph(graph, **options)
