import copy
import pickle

import pytest
import torch
import torch_geometric.transforms as T  # noqa: N812
from torch_geometric.utils import coalesce

from pyg_advinfonce.graph import (
    INTERACTS,
    REV_INTERACTS,
    build_graph,
    check_graph,
    copy_to,
    merge_splits,
    set_train_pairs,
    shared_pairs,
    train_pairs,
    with_edge_index,
)
from pyg_advinfonce.pairs import Pairs
from pyg_advinfonce.transforms import BipartiteNorm, EdgeDrop
from tests.cases import TRAIN, pairs

GIVEN = {
    "sorted": lambda edges: edges,
    "shuffled": lambda edges: edges[:, torch.arange(edges.size(1)) * 7 % edges.size(1)],
    "twice": lambda edges: edges.repeat(1, 2),
    "int32": lambda edges: edges.int(),
    "none": lambda edges: edges[:, :0],
}
DIRECTIONS = (INTERACTS, REV_INTERACTS)


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_pairs_are_sorted_and_distinct(given):
    edges = given(pairs(*TRAIN))
    found = Pairs.of(edges, 10, 12)
    assert found.start.dtype == found.item.dtype == torch.int32
    assert torch.equal(found.edge_index(), coalesce(edges.long()))
    assert torch.equal(found.edge_index(is_reverse=True), found.edge_index().flip(0))
    assert (
        found.degree.tolist() == edges.unique(dim=1)[0].bincount(minlength=10).tolist()
    )
    assert found.edge_index().dtype == torch.long


def test_given_pairs_are_not_changed():
    edges = GIVEN["shuffled"](pairs(*TRAIN))
    before = edges.clone()
    Pairs.of(edges, 10, 12)
    assert torch.equal(edges, before)


def test_edges_are_computed_once_while_they_are_in_use(graph):
    index = graph[REV_INTERACTS].edge_index
    assert graph[REV_INTERACTS].edge_index is index
    assert copy.copy(graph)[REV_INTERACTS].edge_index is index
    assert "edge_index" in graph[REV_INTERACTS]
    assert dict(graph[REV_INTERACTS].items())["edge_index"] is index
    assert graph[REV_INTERACTS].get("edge_index") is index
    assert graph[REV_INTERACTS].num_edges == graph[INTERACTS].num_edges == len(TRAIN)


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))],
)
def test_copies_keep_the_pairs(graph, copied):
    found = copied(graph)
    assert shared_pairs(found) is not None
    for edge_type in DIRECTIONS:
        assert torch.equal(found[edge_type].edge_index, graph[edge_type].edge_index)


@pytest.mark.parametrize(
    "changed",
    [
        lambda g: g.clone(),
        lambda g: g.to("cpu"),
        T.ToUndirected(merge=False),
        EdgeDrop(0.0),
        lambda g: type(g).from_dict(g.to_dict()),
    ],
)
def test_what_pyg_makes_of_a_graph_has_its_edges(graph, changed):
    before = {edge_type: graph[edge_type].edge_index for edge_type in DIRECTIONS}
    found = changed(copy.copy(graph))
    for edge_type, index in before.items():
        kept = found[edge_type].edge_index
        assert sorted(kept.t().tolist()) == sorted(index.t().tolist())


def test_given_edges_replace_the_computed_ones_of_one_direction(graph):
    before = graph[REV_INTERACTS].edge_index.clone()
    few = graph[INTERACTS].edge_index[:, :5].clone()
    graph[INTERACTS].edge_index = few
    assert graph[INTERACTS].edge_index is few
    assert torch.equal(graph[REV_INTERACTS].edge_index, before)
    assert shared_pairs(graph) is None
    assert torch.equal(train_pairs(graph).edge_index(), few)


def test_both_directions_share_their_weights(graph):
    weights = [graph[edge_type].edge_weight for edge_type in DIRECTIONS]
    assert weights[0] is weights[1]
    stored = with_edge_index(graph)
    assert shared_pairs(stored) is shared_pairs(graph)
    plain = graph.clone()
    for edge_type in DIRECTIONS:
        del plain[edge_type].edge_weight
    for edge_type in DIRECTIONS:
        found = BipartiteNorm()(plain)[edge_type].edge_weight
        assert torch.equal(found, weights[0])


def test_a_copy_on_a_device_shares_pairs_and_no_other_tensor(graph):
    graph["user"].x = torch.ones(9, 2)
    found = copy_to(graph, "cpu")
    assert shared_pairs(found).item is shared_pairs(graph).item
    assert found["user"].x is not graph["user"].x
    assert torch.equal(found["user"].x, graph["user"].x)
    weights = [found[edge_type].edge_weight for edge_type in DIRECTIONS]
    assert weights[0] is weights[1]
    assert found.edge_types == graph.edge_types
    check_graph(found)
    plain = graph.clone()
    moved = copy_to(plain, "cpu")
    assert torch.equal(moved[INTERACTS].edge_index, plain[INTERACTS].edge_index)
    assert moved[INTERACTS].edge_index is not plain[INTERACTS].edge_index


def test_a_graph_in_which_almost_no_user_has_a_pair_stores_edges():
    for num_users, is_stored in ((20, True), (21, False)):
        graph = build_graph(
            pairs((0, 1), (3, 0), (3, 1)), num_users=num_users, num_items=2
        )
        assert (shared_pairs(graph) is not None) == is_stored
        assert graph[REV_INTERACTS].edge_index.tolist() == [[1, 0, 1], [0, 3, 3]]


def test_merged_splits_are_stored_as_pairs(graph):
    assert shared_pairs(merge_splits(graph)) is not None


def test_other_values_of_the_edges_are_kept(graph):
    graph[REV_INTERACTS].edge_attr = torch.arange(len(TRAIN))
    set_train_pairs(graph, train_pairs(graph), edge_weight=torch.ones(len(TRAIN)))
    assert graph[REV_INTERACTS].edge_attr.tolist() == list(range(len(TRAIN)))
    assert graph[INTERACTS].edge_weight is graph[REV_INTERACTS].edge_weight
