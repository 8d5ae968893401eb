import math

import pytest
import torch
import torch_geometric.transforms as T  # noqa: N812
from torch_geometric.data import HeteroData

from pyg_advinfonce.errors import GraphError
from pyg_advinfonce.graph import (
    INTERACTS,
    ITEM,
    REV_INTERACTS,
    USER,
    build_graph,
    check_graph,
    split_edges,
)
from pyg_advinfonce.transforms import BipartiteNorm, EdgeDrop, NodeDrop, RandomWalkDrop
from tests import reference
from tests.cases import NUM_ITEMS, NUM_USERS, TRAIN, pairs

SHARES = (0.0, 0.1, 0.5, 0.9)


def edges_of(graph, edge_type=INTERACTS):
    src, dst = graph[edge_type].edge_index.tolist()
    return {(s, d) for s, d in zip(src, dst, strict=True)}


def drop(graph, p, seed=0):
    torch.manual_seed(seed)
    return EdgeDrop(p)(graph)


@pytest.mark.parametrize("p", SHARES)
def test_the_exact_number_stays_and_both_directions_keep_the_same(graph, p):
    view = drop(graph, p)
    kept = edges_of(view)
    num_kept = {0.0: 24, 0.1: 21, 0.5: 12, 0.9: 2}[p]  # floor(24 (1 - p))
    assert view[INTERACTS].edge_index.size(1) == len(kept) == num_kept
    assert kept <= set(TRAIN)
    assert edges_of(view, REV_INTERACTS) == {(i, u) for u, i in kept}
    check_graph(view)


@pytest.mark.parametrize(("count", "p", "kept"), [(10, 0.9, 1), (100, 0.07, 93)])
def test_a_share_is_the_decimal_number_that_it_is_written_as(count, p, kept):
    edges = torch.arange(count).expand(2, -1)
    graph = build_graph(edges, num_users=count, num_items=count)
    assert drop(graph, p)[INTERACTS].edge_index.size(1) == kept
    assert math.floor(10 * (1 - 0.9)) == 0  # what floats would keep


def test_nothing_dropped_is_the_same_graph(graph):
    view = drop(graph, 0.0)
    for edge_type in (INTERACTS, REV_INTERACTS):
        for key in ("edge_index", "edge_weight"):
            assert torch.equal(view[edge_type][key], graph[edge_type][key])


def test_the_input_is_left_alone_and_nodes_and_splits_stay(graph):
    before = graph.clone()
    view = drop(graph, 0.5)
    for old, new in zip(before.stores, graph.stores, strict=True):
        assert list(old.keys()) == list(new.keys())
        assert all(torch.equal(old[k], new[k]) for k in old if torch.is_tensor(old[k]))
    assert (view[USER].num_nodes, view[ITEM].num_nodes) == (NUM_USERS, NUM_ITEMS)
    for name in ("valid", "test"):
        assert split_edges(view, name) is split_edges(graph, name)


def test_each_draw_is_another_and_the_seed_decides(graph):
    assert edges_of(drop(graph, 0.5, 1)) == edges_of(drop(graph, 0.5, 1))
    assert len({frozenset(edges_of(drop(graph, 0.5, s))) for s in range(20)}) == 20


def test_every_edge_is_as_likely_to_stay(graph):
    counts = dict.fromkeys(TRAIN, 0)
    for seed in range(400):
        for edge in edges_of(drop(graph, 0.25, seed)):
            counts[edge] += 1
    deviation = math.sqrt(400 * 0.75 * 0.25)
    assert all(abs(n - 300) < 4.5 * deviation for n in counts.values())


def test_all_attributes_of_an_edge_go_with_it():
    graph = HeteroData()
    graph[USER].num_nodes, graph[ITEM].num_nodes = 5, 5
    edges = pairs((0, 4), (3, 1), (1, 1), (2, 0), (4, 3))
    order = torch.tensor([3, 0, 4, 1, 2])  # the other direction has another order
    label = 10 * edges[0] + edges[1]
    graph[INTERACTS].edge_index, graph[INTERACTS].rating = edges, label
    graph[REV_INTERACTS].edge_index = edges.flip(0)[:, order]
    graph[REV_INTERACTS].rating = label[order]
    view = drop(graph, 0.4)
    assert view[INTERACTS].edge_index.size(1) == 3
    for edge_type, (user, item) in ((INTERACTS, (0, 1)), (REV_INTERACTS, (1, 0))):
        edges = view[edge_type].edge_index
        assert torch.equal(view[edge_type].rating, 10 * edges[user] + edges[item])
    assert edges_of(view, REV_INTERACTS) == {(i, u) for u, i in edges_of(view)}


def test_directions_that_hold_other_edges_are_refused(graph):
    graph[REV_INTERACTS].edge_index = graph[REV_INTERACTS].edge_index[:, 1:]
    with pytest.raises(GraphError, match=r"flipped: apply .*ToUndirected\(\)"):
        drop(graph, 0.5)


def test_weights_are_renewed_by_the_normalisation_that_follows(graph):
    torch.manual_seed(0)
    view = T.Compose([EdgeDrop(0.5), BipartiteNorm()])(graph)
    kept = sorted(edges_of(view))
    expected = reference.normalized_adjacency(pairs(*kept), NUM_USERS, NUM_ITEMS)
    user, item = view[INTERACTS].edge_index
    found = view[INTERACTS].edge_weight
    torch.testing.assert_close(found, expected[user, NUM_USERS + item].float())
    old = graph[INTERACTS].edge_weight
    assert old.size(0) == 24  # new degrees, new weights; the graph's own stay
    assert not torch.isin(found, old).all()


def test_one_direction_alone_may_be_completed_later(graph):
    del graph[REV_INTERACTS]
    view = T.Compose([EdgeDrop(0.5), T.ToUndirected(), BipartiteNorm()])(graph)
    check_graph(view)
    assert view[REV_INTERACTS].edge_index.size(1) == 12


def test_a_graph_without_edges():
    graph = build_graph(pairs(), num_users=2, num_items=3)
    assert drop(graph, 0.5)[REV_INTERACTS].edge_index.shape == (2, 0)


def test_pyg_knows_it_by_name():
    assert repr(EdgeDrop(0.1)) == "EdgeDrop(0.1)"
    assert T.BaseTransform in EdgeDrop.__mro__


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_an_impossible_share(p):
    with pytest.raises(ValueError, match=rf"drop must be in \[0, 1\) \(got {p}\)"):
        EdgeDrop(p)


def drop_of_node_drop(graph, p, seed=0):
    torch.manual_seed(seed)
    return NodeDrop(p)(graph)


def full_graph(num_users=10, num_items=7):
    edges = torch.cartesian_prod(torch.arange(num_users), torch.arange(num_items)).t()
    return build_graph(edges, num_users=num_users, num_items=num_items)


@pytest.mark.parametrize(
    ("p", "users", "items"), [(0.0, 10, 7), (0.1, 9, 7), (0.3, 7, 5), (0.9, 1, 1)]
)
def test_the_exact_number_of_nodes_loses_all_its_edges(p, users, items):
    view = drop_of_node_drop(full_graph(), p)
    user, item = view[INTERACTS].edge_index
    assert (user.unique().numel(), item.unique().numel()) == (users, items)
    assert user.numel() == users * items  # no other edge is missing
    assert edges_of(view, REV_INTERACTS) == {(i, u) for u, i in edges_of(view)}


def test_nodes_keep_their_ids_and_the_input_its_edges(graph):
    view = drop_of_node_drop(graph, 0.5)
    assert (view[USER].num_nodes, view[ITEM].num_nodes) == (NUM_USERS, NUM_ITEMS)
    assert edges_of(graph) == set(TRAIN)
    assert edges_of(view) < set(TRAIN)


def test_node_drop_each_draw_is_another_and_the_seed_decides():
    graph = full_graph()
    assert edges_of(drop_of_node_drop(graph, 0.3, 1)) == edges_of(
        drop_of_node_drop(graph, 0.3, 1)
    )
    assert (
        len({frozenset(edges_of(drop_of_node_drop(graph, 0.3, s))) for s in range(10)})
        == 10
    )


def test_impossible_shares_and_a_name():
    assert repr(NodeDrop(0.2)) == "NodeDrop(0.2)"
    with pytest.raises(ValueError, match=r"drop must be in \[0, 1\) \(got 1\)"):
        NodeDrop(1)


def test_each_layer_has_a_graph_of_its_own(graph):
    torch.manual_seed(0)
    views = RandomWalkDrop(0.25, 4)(graph)
    assert [view[INTERACTS].edge_index.size(1) for view in views] == [18] * 4
    assert len({frozenset(edges_of(view)) for view in views}) == 4
    assert edges_of(graph) == set(TRAIN)


def test_composes_with_the_normalisation(graph):
    views = T.Compose([RandomWalkDrop(0.25, 2), BipartiteNorm()])(graph)
    for view in views:
        expected = BipartiteNorm()(view)[INTERACTS].edge_weight
        assert torch.equal(view[INTERACTS].edge_weight, expected)
        assert view[INTERACTS].edge_weight.shape == (18,)


def test_impossible_options_and_a_name():
    assert repr(RandomWalkDrop(0.2, 3)) == "RandomWalkDrop(0.2, 3)"
    with pytest.raises(ValueError, match=r"num_layers must be positive \(got 0\)"):
        RandomWalkDrop(0.2, 0)
    with pytest.raises(ValueError, match=r"drop must be in \[0, 1\) \(got 1\.5\)"):
        RandomWalkDrop(1.5, 2)
