import math
from importlib import import_module

import pytest
import torch
import torch_geometric.transforms as T  # noqa: N812

from benchmarks.largest import LargestArray
from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import INTERACTS, build_graph, split_names
from pyg_advinfonce.objective import Step
from pyg_advinfonce.terms import (
    LayerContrast,
    NeighborContrast,
    PassContrast,
    ViewContrast,
)
from pyg_advinfonce.transforms import BipartiteNorm, EdgeDrop, RandomWalkDrop
from tests import cases, reference
from tests.cases import DIM, NUM_ITEMS, NUM_USERS

candidates = pytest.mark.parametrize("candidates", ["all", "batch"])


def step_of(graph, batch=None, epoch=0, **options):
    torch.manual_seed(0)
    encoder = LightGCN(NUM_USERS, NUM_ITEMS, DIM, **options).double()
    for edges in graph.edge_stores[:2]:
        edges.edge_weight = edges.edge_weight.double()
    return Step(encoder, graph, batch or cases.toy_batch(), epoch, 0)


def with_itself(z, batch, tau, candidates):
    """NCE of a view with itself, by the formula."""
    return sum(
        reference.contrast(x, x, index, tau, candidates)
        for x, index in ((z.user, batch.src_index), (z.item, batch.dst_pos_index))
    )


def dropping(p, seed=0, walk=False):
    thin = RandomWalkDrop(p, 2) if walk else EdgeDrop(p)
    return T.Compose([thin, BipartiteNorm()])


def started(term, step, seed=0):
    torch.manual_seed(seed)
    term.on_epoch_start(step.encoder, step.graph, step.epoch)
    return term


def test_ends_of_edges_weigh_a_node_by_its_edges(graph):
    """Of a repeated node, every occurrence is an anchor."""
    user, item = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 3, 4, 1])
    negatives = torch.empty(4, 0).long()
    batch = EdgeBatch(user, item, negatives)
    step = step_of(graph, batch)
    by_edge, by_node = (
        started(ViewContrast(dropping(0.5), 0.3, "all", anchors), step)
        for anchors in ("edges", "nodes")
    )
    single = [
        by_node(step_of(graph, EdgeBatch(user[[b]], item[[b]], negatives[[b]])))
        for b in range(4)
    ]
    torch.testing.assert_close(by_edge(step), torch.stack(single).mean())
    assert not torch.isclose(by_edge(step), by_node(step), rtol=1e-3)


def test_unknown_anchors():
    with pytest.raises(ValueError, match="anchors must be 'nodes' or 'edges'"):
        PassContrast(anchors="pairs")


@candidates
@pytest.mark.parametrize("walk", [False, True])
def test_views_that_lack_nothing_are_equal(graph, candidates, walk):
    step = step_of(graph)
    term = started(ViewContrast(dropping(0.0, walk=walk), 0.3, candidates), step)
    expected = with_itself(step.embeddings, step.batch, 0.3, candidates)
    torch.testing.assert_close(term(step), expected, rtol=1e-5, atol=1e-6)


@candidates
def test_passes_without_noise_are_equal(graph, candidates):
    step = step_of(graph)
    expected = with_itself(step.embeddings, step.batch, 0.3, candidates)
    torch.testing.assert_close(PassContrast(0.3, candidates)(step), expected)


@candidates
def test_a_layer_that_is_the_sum_gives_equal_views(graph, candidates):
    step = step_of(graph, num_layers=1, first_layer=1, noise=0.2)
    expected = with_itself(step.embeddings, step.batch, 0.3, candidates)
    torch.testing.assert_close(LayerContrast(1, 0.3, candidates)(step), expected)


def test_the_layer_is_the_perturbed_one_of_the_same_pass(graph):
    step = step_of(graph, first_layer=1, noise=0.2)
    z, batch = step.embeddings, step.batch
    index = (batch.src_index, batch.dst_pos_index)
    for layer in (1, 2):
        expected = sum(
            reference.contrast(x, y, nodes, 0.3, "batch")
            for x, y, nodes in zip(
                (z.user, z.item), z.layers[layer], index, strict=True
            )
        )
        torch.testing.assert_close(LayerContrast(layer, 0.3)(step), expected)
    clean = step.clean.layers[1][0]
    lengths = (z.layers[1][0] - clean)[:-1].norm(dim=1)
    torch.testing.assert_close(lengths, torch.full_like(lengths, 0.2))


def test_one_node_of_the_batch_alone_has_nothing_to_be_told_from(graph):
    one = EdgeBatch(*(torch.tensor([0, 0]),) * 2, torch.zeros(2, 1).long())
    step = step_of(graph, one, noise=0.3)
    assert PassContrast(candidates="batch")(step).item() == pytest.approx(0, abs=1e-12)
    assert PassContrast(candidates="all")(step_of(graph, one, noise=0.3)).item() > 1


@candidates
def test_repeated_nodes_count_once(graph, candidates):
    batch = cases.toy_batch()
    twice = EdgeBatch(
        *(
            torch.cat([x, x])
            for x in (batch.src_index, batch.dst_pos_index, batch.dst_neg_index)
        )
    )
    found = [PassContrast(0.3, candidates)(step_of(graph, b)) for b in (batch, twice)]
    torch.testing.assert_close(*found)


def test_views_are_drawn_once_an_epoch(graph):
    step = step_of(graph)
    term = started(ViewContrast(dropping(0.5)), step)
    first = term.views
    a, b = term(step), term(step)
    assert torch.equal(a, b)
    assert term.views is first
    started(term, step, seed=1)
    assert not torch.equal(term(step), a)


def test_two_views_differ_and_hold_no_held_out_pairs(graph):
    term = started(ViewContrast(dropping(0.5)), step_of(graph))
    edges = [{*zip(*v[INTERACTS].edge_index.tolist(), strict=True)} for v in term.views]
    assert edges[0] != edges[1]
    assert all(split_names(view) == [] for view in term.views)
    assert split_names(graph) == ["valid", "test"]


def test_a_view_shows_the_whole_graph_also_to_a_sampled_batch(graph):
    step = step_of(graph)
    batch = step.batch
    rows = EdgeBatch(
        torch.arange(5),
        torch.arange(5),
        torch.zeros(5, 1).long(),
        src_n_id=batch.src_index,
        dst_n_id=batch.dst_pos_index,
    )
    term = started(ViewContrast(dropping(0.5)), step)
    local = Step(step.encoder, graph, rows, 0, 0)
    assert torch.equal(term(local), term(step))


def test_all_candidates_are_never_scored_at_once(graph, monkeypatch):
    sizes = []
    softmax = torch.Tensor.softmax
    monkeypatch.setattr(
        torch.Tensor,
        "softmax",
        lambda self, *a: (sizes.append(self.numel()), softmax(self, *a))[1],
    )
    module = import_module("pyg_advinfonce.ops.log_partition")
    monkeypatch.setattr(module, "MAX_SCORES", 10)
    term, step = PassContrast(candidates="all"), step_of(graph, noise=0.3)
    term(step).backward()
    assert max(sizes) <= DIM * max(NUM_USERS, NUM_ITEMS)
    assert sum(sizes) == sum(
        index.unique().numel() * size
        for index, size in (
            (step.batch.src_index, NUM_USERS),
            (step.batch.dst_pos_index, NUM_ITEMS),
        )
    )


def test_tencent_needs_no_large_array():
    first = [torch.randn(n, 4, requires_grad=True) for n in (95_709, 41_602)]
    second = [table.detach() + 0.1 for table in first]
    index = torch.arange(2048) * 20
    with LargestArray() as largest:
        PassContrast(candidates="all").contrast(first, second, index, index).backward()
    table, scores = first[0].nbytes, 4 * 2048 * 95_709
    assert table <= largest.num_bytes < scores / 100


def test_gradients_flow_through_both_views(graph):
    step = step_of(graph, noise=0.3)
    first, second = step.embeddings, step.encode()
    step.encode = lambda: second
    found = PassContrast(candidates="batch")(step)
    wanted = (first.user, first.item, second.user, second.item)
    assert all(g.abs().sum() > 0 for g in torch.autograd.grad(found, wanted))


@pytest.mark.parametrize("tau", [0.01, 3.0])
def test_any_temperature_stays_finite(graph, tau):
    step = step_of(graph, noise=0.3)
    loss = PassContrast(tau, "all")(step)
    loss.backward()
    assert loss.isfinite()
    assert step.encoder.user.grad.isfinite().all()
    assert loss.item() < 2 * (2 / tau + math.log(NUM_ITEMS))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: PassContrast(tau=0.0), r"tau must be positive \(got 0\.0\)"),
        (
            lambda: PassContrast(candidates="some"),
            "candidates must be 'all' or 'batch'",
        ),
        (lambda: LayerContrast(0), r"layer must be positive \(got 0\)"),
    ],
)
def test_impossible_options(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_is_a_sum_over_the_batch_repeated_nodes_included(graph):
    once, step = step_of(graph), step_of(graph)
    batch = step.batch
    step.batch = cases.EdgeBatch(
        *(
            torch.cat([x, x])
            for x in (batch.src_index, batch.dst_pos_index, batch.dst_neg_index)
        )
    )
    term = NeighborContrast()
    torch.testing.assert_close(term(step), 2 * term(once))


def test_items_have_a_weight_of_their_own(graph):
    step = step_of(graph)
    layers, batch = step.embeddings.layers, step.batch
    parts = [
        reference.neighbor_contrast(layers[2][n], layers[0][n], index, 0.3)
        for n, index in enumerate((batch.src_index, batch.dst_pos_index))
    ]
    found = NeighborContrast(2, 0.3, item_weight=0.25)(step)
    torch.testing.assert_close(found, parts[0] + 0.25 * parts[1])
    found = NeighborContrast(2, 0.3, item_weight=0.0)(step)
    torch.testing.assert_close(found, parts[0])


def test_where_propagation_changes_nothing_a_positive_has_cosine_one():
    """Every user has one item and every item one user: two layers are the identity."""
    pairs = torch.arange(6).expand(2, -1)
    graph = BipartiteNorm()(build_graph(pairs, num_users=6, num_items=6))
    encoder = LightGCN(6, 6, dim=3)
    batch = cases.EdgeBatch(pairs[0], pairs[1], torch.zeros(6, 1).long())
    step = Step(encoder, graph, batch, 0, 0)
    tables = [torch.nn.functional.normalize(x) for x in (encoder.user, encoder.item)]
    tau = 0.3
    expected = sum(((x @ x.t() / tau).logsumexp(1) - 1 / tau).sum() for x in tables)
    torch.testing.assert_close(NeighborContrast(2, tau)(step), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": 0}, r"layer must be positive \(got 0\)"),
        ({"tau": math.inf}, r"tau must be positive \(got inf\)"),
    ],
)
def test_neighbor_contrast_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        NeighborContrast(**options)
