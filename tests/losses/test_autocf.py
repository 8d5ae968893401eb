import copy
from itertools import pairwise

import pytest
import torch

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.losses import AutoCFLoss, centrality
from pyg_advinfonce.objective import Step
from pyg_advinfonce.ops import Adjacency
from pyg_advinfonce.terms import TableL2
from pyg_advinfonce.transforms import JointGraph
from tests import cases, reference
from tests.cases import NUM_ITEMS, NUM_USERS, TRAIN, find, pairs

SIZE = NUM_USERS + NUM_ITEMS


@pytest.fixture
def method(graph):
    return find("autocf").method(graph=graph).double()


def step_of(method, graph, index=0, batch=None):
    return Step(method.encoder, graph, batch or cases.toy_batch(), 0, index)


def loss_of(method, graph, index=0, seed=0, batch=None):
    torch.manual_seed(seed)
    return method.loss(step_of(method, graph, index, batch))


def links_of(data):
    return set(map(tuple, data.edge_index.t().tolist()))


def seeds_of(term):
    return set(term.views[0].seed_mask.nonzero().view(-1).tolist())


@pytest.mark.parametrize("count", [1, 5, SIZE, 100])
def test_as_many_seeds_as_asked_or_as_there_are(method, graph, count):
    method.loss.num_seeds = count
    loss_of(method, graph)
    assert len(seeds_of(method.loss)) == min(count, SIZE)


def test_without_seeds_the_encoder_sees_the_whole_graph(method, graph):
    method.loss.num_seeds = 0
    loss_of(method, graph)
    masked, rebuilt = method.loss.views
    assert links_of(masked) == links_of(JointGraph()(graph)) <= links_of(rebuilt)


def test_seeds_change_with_the_noise_and_scores_do_not(method, graph):
    found, term = [], method.loss
    for seed in range(10):
        loss_of(method, graph, seed=seed)
        found.append(seeds_of(term))
    assert len(set(map(frozenset, found))) > 1
    loss_of(method, graph, seed=3)
    assert seeds_of(term) == found[3]
    _, ones = term._whole(graph)
    table = torch.cat([method.encoder.user, method.encoder.item])
    scores = centrality(table, ones)
    assert torch.equal(scores, centrality(table, ones))
    links = reference.joint_links(pairs(*TRAIN), NUM_USERS, NUM_ITEMS)
    torch.testing.assert_close(scores, reference.centrality(links, table))
    isolated = [NUM_USERS - 1, SIZE - 1]
    torch.testing.assert_close(scores[isolated], -torch.ones(2).double())


def test_noise_is_gumbel_s(method, graph):
    method.loss.num_seeds = 1
    table = torch.cat([method.encoder.user, method.encoder.item])
    _, ones = method.loss._whole(graph)
    score = torch.sigmoid(centrality(table, ones)).detach()
    count = torch.zeros(SIZE)
    for seed in range(2000):
        torch.manual_seed(seed)
        method.loss._redraw(step_of(method, graph))
        count[list(seeds_of(method.loss))] += 1
    # the largest of log p + Gumbel noise is distributed as p
    torch.testing.assert_close(
        count / 2000, (score / score.sum()).float(), atol=0.02, rtol=0
    )


def test_views_stay_for_as_many_steps_as_asked(method, graph):
    term = method.loss
    term.fix_steps, seen = 3, []
    term.on_epoch_start(method.encoder, graph, 0)
    for index in range(7):
        loss_of(method, graph, index, seed=index)
        seen.append(term.views)
    same = [a is b for a, b in pairwise(seen)]
    assert same == [True, True, False, True, True, False]


def test_no_mask_crosses_an_epoch(method, graph):
    term = method.loss
    loss_of(method, graph)
    before = term.views
    term.on_epoch_start(method.encoder, graph, 1)
    assert term.views is None
    loss_of(method, graph, index=4)
    assert term.views is not before


def test_only_a_step_that_draws_adds_the_noisy_scores(method, graph, monkeypatch):
    term = method.loss
    drawn, noisy = loss_of(method, graph), []
    kept = loss_of(method, graph, index=1)
    redraw = term._redraw
    monkeypatch.setattr(
        term, "_redraw", lambda step: (noisy.append(redraw(step)), noisy[-1])[1]
    )
    torch.testing.assert_close(loss_of(method, graph), drawn)
    torch.testing.assert_close(drawn, kept - noisy[0].mean())


def test_the_noisy_scores_pull_at_the_tables_alone(method, graph):
    torch.manual_seed(0)
    noisy = method.loss._redraw(step_of(method, graph))
    encoder = method.encoder
    leaves = [encoder.user, encoder.item, *encoder.transformer.parameters()]
    user, item, *rest = torch.autograd.grad(noisy.mean(), leaves, allow_unused=True)
    assert user[:-1].abs().sum(1).all()
    assert item[:-1].abs().sum(1).all()
    assert rest == [None] * 3


def test_gradients_reach_every_parameter(method, graph):
    loss_of(method, graph)
    loss_of(method, graph, index=1).backward()
    for parameter in method.encoder.parameters():
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().sum() > 0


def test_in_eval_mode_it_is_pure_and_sees_the_whole_graph(method, graph):
    method.eval()
    term, state = method.loss, torch.get_rng_state()
    first, second = (term(step_of(method, graph)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
    assert term.views is None
    z = method.encoder(graph)
    expected = reference.autocf_contrast(z.user, z.item, cases.toy_batch(), 1.0)
    torch.testing.assert_close(first, expected)


def test_a_user_of_many_rows_counts_once_in_the_contrasts(method, graph):
    index = torch.tensor([0, 0, 0, 3])
    batch = EdgeBatch(index, torch.tensor([0, 3, 0, 2]), index.new_empty(4, 0))
    method.eval()
    loss = loss_of(method, graph, batch=batch)
    z = method.encoder(graph)
    expected = reference.autocf_contrast(z.user, z.item, batch, 1.0)
    torch.testing.assert_close(loss, expected)


def test_huge_scores_stay_finite(graph):
    method = find("autocf").method(graph=graph)
    with torch.no_grad():
        method.encoder.user.mul_(1e3)
        method.encoder.item.mul_(1e3)
    loss = loss_of(method, graph)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in method.encoder.parameters())


def test_a_copy_goes_on_alike(method, graph):
    loss_of(method, graph)
    other = copy.deepcopy(method)
    expected = loss_of(method, graph, index=1)
    assert torch.equal(loss_of(other, graph, index=1), expected)


def test_another_graph_has_a_centrality_of_its_own(method, graph):
    loss_of(method, graph)
    small = cases.build_graph(
        pairs((0, 0), (1, 1)), num_users=NUM_USERS, num_items=NUM_ITEMS
    )
    loss_of(method, small)
    assert method.loss.views[0].num_edges <= 4 + SIZE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_seeds": -1}, r"num_seeds must not be negative \(got -1\)"),
        ({"mask_depth": 0}, r"mask_depth must be positive \(got 0\)"),
        ({"fix_steps": 0}, r"fix_steps must be positive \(got 0\)"),
        ({"keep_rate": 1.5}, r"keep_rate must be in \[0, 1\] \(got 1.5\)"),
        ({"ssl_weight": -1.0}, r"ssl_weight must not be negative \(got -1.0\)"),
        ({"ssl_weight": float("nan")}, "ssl_weight must not be negative"),
    ],
)
def test_impossible_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        AutoCFLoss(**options)


def test_it_ranks_by_raw_inner_products_and_draws_no_negatives():
    assert (AutoCFLoss.cosine, AutoCFLoss.negatives) == (False, "none")


def test_table_l2_is_half_the_squares_of_all_parameters(method, graph):
    step = step_of(method, graph)
    expected = (
        sum(v * v for p in method.encoder.parameters() for v in p.reshape(-1)) / 2
    )
    torch.testing.assert_close(TableL2()(step), expected)


def test_the_penalty_s_weight_is_that_of_all_squares(graph):
    method = find("autocf").method(graph=graph, l2=0.25)
    assert method.objective.weights == {"rec": 1.0, "l2": 0.5}


def test_centrality_needs_no_weights(graph):
    joint = JointGraph()(graph)
    ones = torch.ones(joint.num_edges)
    messages = Adjacency.from_edge_index(joint.edge_index, ones, SIZE, SIZE)
    table = torch.ones(SIZE, 3)
    expected = torch.ones(SIZE)
    expected[[NUM_USERS - 1, SIZE - 1]] = -1  # nobody around them
    torch.testing.assert_close(centrality(table, messages), expected)


def test_without_a_weight_there_is_no_contrast_within_a_kind(method, graph):
    method.eval().loss.ssl_weight = 0.0
    z = method.encoder(graph)
    expected = reference.autocf_contrast(z.user, z.item, cases.toy_batch(), 0.0)
    torch.testing.assert_close(loss_of(method, graph), expected)
