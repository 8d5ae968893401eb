from dataclasses import replace

import pytest
import torch
from torch import nn

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import build_graph
from pyg_advinfonce.losses import InfoNCE, InvCF
from pyg_advinfonce.objective import Step
from tests import cases
from tests.cases import DIM, NUM_ITEMS, NUM_USERS, find, toy_batch

NONE = {"lam1": 0.0, "lam2": 0.0, "lam3": 0.0}


def step_of(graph, batch=None, num_layers=2):
    torch.manual_seed(0)
    encoder = LightGCN(NUM_USERS, NUM_ITEMS, DIM, num_layers)
    return Step(encoder, graph, toy_batch() if batch is None else batch, 0, 0)


def grads(loss, params):
    found = torch.autograd.grad(loss, params, allow_unused=True)
    return [None if g is None else g.to_dense() for g in found]


@pytest.mark.parametrize("negatives", ["in_batch", "sampled"])
def test_without_its_terms_it_is_info_nce(graph, negatives):
    term, step = find("invcf").build(negatives=negatives, **NONE), step_of(graph)
    z = step.embeddings
    expected = InfoNCE(negatives=negatives)(z.user, z.item, step.batch)
    assert torch.equal(term(step), expected)


@pytest.mark.parametrize("weight", ["lam1", "lam2", "lam3"])
@pytest.mark.parametrize("negatives", ["in_batch", "sampled"])
def test_each_weight_brings_the_popularity_in(graph, weight, negatives):
    term = find("invcf").build(negatives=negatives, **(NONE | {weight: 0.5}))
    params = [term.user, term.item]
    for found in grads(term(step_of(graph)), params):
        assert found.isfinite().all()
        assert found.any()


def test_preference_gets_a_gradient_of_all_but_the_popularity_branch(graph):
    base, step = find("invcf").build(l2=0.0, **NONE), step_of(graph)
    params = [step.encoder.user, step.encoder.item]
    expected = grads(base(step_of_same(step)), params)
    for weight, same in (("lam1", True), ("lam2", False), ("lam3", False)):
        term = find("invcf").build(l2=0.0, **(NONE | {weight: 0.5}))
        found = grads(term(step_of_same(step)), params)
        assert torch.equal(found[0], expected[0]) is same


def step_of_same(step):
    return Step(step.encoder, step.graph, step.batch, 0, 0)


@pytest.mark.parametrize("model", ["mf", "lightgcn"])
def test_ranking_ignores_the_popularity_tables(graph, model):
    method = find("invcf").method(model, graph)
    before = method.embed(graph)
    with torch.no_grad():
        for table in (method.loss.user, method.loss.item):
            table.normal_()
    assert all(map(torch.equal, method.embed(graph), before))


def test_nodes_of_one_degree_share_a_vector(graph):
    term, step = find("invcf").build(), step_of(graph, num_layers=0)
    z = term.popularity(step)
    assert term.user.shape == (4, 3)  # degrees 2 to 5; the isolated user has none
    assert torch.equal(z.user, term.user[[1, 1, 0, 2, 0, 1, 0, 3, 0]])
    assert term.item.shape == (4, 3)
    assert torch.equal(z.item, term.item[[3, 2, 1, 1, 1, 1, 1, 1, 0, 1, 1, 0]])


def test_popularity_is_propagated_over_the_steps_graph(graph):
    term, step = find("invcf").build(), step_of(graph)
    z = term.popularity(step)
    own = z.layers[0]
    expected = step.encoder.propagate(*own, graph)
    assert torch.equal(z.user, expected.user)
    assert not torch.equal(z.user, own[0])


def test_a_sample_of_the_nodes_takes_ranks_by_global_ids(graph):
    term, step = find("invcf").build(), step_of(graph, num_layers=0)
    whole = term.popularity(step)
    graph["user"].n_id = torch.tensor([7, 1])
    graph["item"].n_id = torch.tensor([3, 0, 8])
    z = term.popularity(step)
    assert torch.equal(z.user, whole.user[[7, 1]])
    assert torch.equal(z.item, whole.item[[3, 0, 8]])


def test_what_is_exchanged_is_popularity_and_for_both_at_once(graph, monkeypatch):
    """With the permutation 0 -> 1 -> 2 -> 0, on rows that say where they come from."""
    monkeypatch.setattr(torch, "randperm", lambda n, **_: torch.tensor([1, 2, 0]))
    term, seen = find("invcf").build(), []
    monkeypatch.setattr(
        type(term), "_contrast", lambda self, rows, *_: seen.append(rows) or 0.0
    )
    batch = toy_batch(3, 0)
    step = step_of(graph, batch)
    m, z = step.embeddings, term.popularity(step)
    term._joined(m, z, batch)
    order = torch.tensor([1, 2, 0])
    for rows, place in zip(seen, (slice(None), order), strict=True):
        for found, pop, pref, index in zip(
            rows,
            (z.user, z.item),
            (m.user, m.item),
            (batch.src_index, batch.dst_pos_index),
            strict=True,
        ):
            assert torch.equal(found[:, :3], pop[index][place])
            assert torch.equal(found[:, 3:], pref[index])


def test_masked_negatives_do_not_count(graph):
    term = find("invcf").build(negatives="sampled", lam2=0.5)
    batch = toy_batch()
    mask = torch.tensor([[True, False, True, True]] * 5)
    kept = replace(batch, dst_neg_index=batch.dst_neg_index[:, [0, 2, 3]])
    losses = []
    for part in (replace(batch, neg_mask=mask), kept):
        step = step_of(graph, part)
        torch.manual_seed(1)
        losses.append(term(step))
    torch.testing.assert_close(*losses)


def test_sampled_negatives_are_needed_where_they_are_asked_for(graph):
    term = find("invcf").build(negatives="sampled")
    with pytest.raises(ValueError, match="at least one negative"):
        term(step_of(graph, toy_batch(5, 0)))
    assert find("invcf").build()(step_of(graph, toy_batch(5, 0))).isfinite()


@pytest.mark.parametrize("tau", [0.2, 0.01])
@pytest.mark.parametrize("size", [1, 2, 20])
def test_loss_and_gradients_are_finite(graph, size, tau):
    term = find("invcf").build(tau=tau, lam1=0.5, lam2=0.5, lam3=0.5)
    step = step_of(graph, toy_batch(size, 0))
    params = [*term.parameters(), *step.encoder.parameters()]
    loss = term(step)
    assert loss.isfinite()
    assert all(g.isfinite().all() for g in grads(loss, params))


def test_some_steps_lower_the_loss_and_move_both_branches(graph):
    method = find("invcf").method(
        "lightgcn", graph, options={"lam1": 0.5, "lam2": 0.5, "lam3": 0.5}
    )
    before = [p.detach().clone() for p in method.parameters()]
    optimizer = torch.optim.Adam(method.parameters(), lr=0.05)
    losses = []
    for _ in range(30):
        step = Step(method.encoder, graph, toy_batch(10, 0), 0, 0)
        loss = torch.stack(list(method.objective(step).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    for p, q in zip(method.parameters(), before, strict=True):
        assert not torch.equal(p, q)


def test_a_graph_without_edges_has_one_vector():
    graph = build_graph(cases.pairs(), num_users=2, num_items=3)
    term = InvCF.from_graph(graph, dim=2)
    assert [p.shape for p in term.parameters()] == [(1, 2), (1, 2)]


def test_what_it_tells_of_itself():
    assert find("invcf").build().negatives == "in_batch"
    assert find("invcf").method("mf").loss.negatives == "sampled"
    assert find("invcf").method("lightgcn").cosine
    assert not find("invcf").method(options={"cosine": False}).cosine


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"dim": 0}, r"dim must be positive \(got 0\)"),
        ({"tau": 0.0}, "tau must be positive"),
        ({"lam1": -1.0}, r"lam1 must not be negative \(got -1.0\)"),
        ({"lam2": float("nan")}, "lam2 must not be negative"),
        ({"lam3": float("inf")}, "lam3 must not be negative"),
        ({"l2": -1.0}, "l2 must not be negative"),
        ({"negatives": "hard"}, r"'in_batch' or 'sampled' \(got 'hard'\)"),
        ({"l2_reduction": "max"}, r"l2_reduction must be 'mean' or 'sum'"),
    ],
)
def test_impossible_options(wrong, message):
    with pytest.raises(ValueError, match=message):
        find("invcf").build(**wrong)


def test_both_tables_are_drawn_by_xavier_s_rule():
    rank = torch.arange(3000)
    torch.manual_seed(0)
    term = InvCF(rank, rank[:200], dim=64)
    for table in (term.user, term.item):
        assert isinstance(table, nn.Parameter)
        expected = (2 / sum(table.shape)) ** 0.5
        assert table.std().item() == pytest.approx(expected, rel=0.02)
