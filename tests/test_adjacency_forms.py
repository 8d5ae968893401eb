"""What reads a graph reads every form in which PyG stores its edges."""

import pytest
import torch

from pyg_advinfonce.graph import (
    INTERACTS,
    REV_INTERACTS,
    check_graph,
    relation_edges,
    split_edges,
    train_degrees,
    with_edge_index,
)
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.transforms import BipartiteNorm, EdgeDrop, JointGraph, NodeDrop
from tests.adjacency_forms import FORMS, stored_as
from tests.cases import toy_graph

every_form = pytest.mark.parametrize("form", FORMS)


def weighed(graph, edge_type):
    """Return the edges of a relation and their weights, as a mapping."""
    edge_index, weight = relation_edges(graph, edge_type)
    assert edge_index.dtype == torch.int64
    return dict(zip(map(tuple, edge_index.t().tolist()), weight.tolist(), strict=True))


@every_form
@pytest.mark.parametrize("edge_type", [INTERACTS, REV_INTERACTS])
def test_edges_and_weights_are_read(form, edge_type):
    found = stored_as(form, toy_graph())
    assert weighed(found, edge_type) == weighed(toy_graph(), edge_type)
    assert weighed(with_edge_index(found), edge_type) == weighed(found, edge_type)


@every_form
def test_a_graph_passes_the_check_and_has_the_same_degrees(form):
    graph = stored_as(form, toy_graph())
    check_graph(graph)
    for found, expected in zip(
        train_degrees(graph), train_degrees(toy_graph()), strict=True
    ):
        assert torch.equal(found, expected)


@every_form
def test_a_graph_is_normalised_into_edge_index(form):
    bare = stored_as("edge_index", toy_graph())
    for edges in (bare[INTERACTS], bare[REV_INTERACTS]):
        del edges.edge_weight
    graph = BipartiteNorm()(stored_as(form, bare))
    for edge_type in (INTERACTS, REV_INTERACTS):
        assert "adj_t" not in graph[edge_type]
        assert weighed(graph, edge_type) == weighed(toy_graph(), edge_type)


@every_form
@pytest.mark.parametrize("thin", [EdgeDrop(0.5), NodeDrop(0.3)], ids=repr)
def test_a_thinned_graph_has_both_directions_and_known_weights(form, thin):
    torch.manual_seed(0)
    graph, whole = thin(stored_as(form, toy_graph())), weighed(toy_graph(), INTERACTS)
    left = weighed(graph, INTERACTS)
    assert 0 < len(left) < len(whole)
    assert left.items() <= whole.items()
    there = {(item, user): weight for (user, item), weight in left.items()}
    assert weighed(graph, REV_INTERACTS) == there


@every_form
def test_users_and_items_become_one_graph(form):
    found, expected = (
        JointGraph()(g) for g in (stored_as(form, toy_graph()), toy_graph())
    )
    assert found.num_nodes == expected.num_nodes
    assert torch.equal(
        found.edge_index.unique(dim=1), expected.edge_index.unique(dim=1)
    )


@every_form
def test_a_sampler_draws_the_same_batches(form):
    samplers = [
        EdgeSampler(graph, batch_size=4, num_negatives=3)
        for graph in (stored_as(form, toy_graph()), toy_graph())
    ]
    torch.manual_seed(0)
    found = [batch for _, batch in samplers[0]]
    torch.manual_seed(0)
    for a, (_, b) in zip(found, samplers[1], strict=True):
        assert torch.equal(a.src_index, b.src_index)
        assert torch.equal(a.dst_pos_index, b.dst_pos_index)
        assert torch.equal(a.dst_neg_index, b.dst_neg_index)


def test_what_is_stored_as_edge_index_is_not_copied():
    graph = toy_graph()
    assert split_edges(graph, "train") is graph[INTERACTS].edge_index
