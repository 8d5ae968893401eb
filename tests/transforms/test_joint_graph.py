import pytest
import torch
from torch_geometric.data import Data

from pyg_advinfonce.transforms import JointGraph, RandomLinks, SubgraphMask
from tests import reference
from tests.cases import NUM_ITEMS, NUM_USERS, TRAIN, pairs


def test_users_then_items_both_directions_and_loops(graph):
    joint = JointGraph()(graph)
    links = reference.joint_links(pairs(*TRAIN), NUM_USERS, NUM_ITEMS)
    assert joint.num_nodes == NUM_USERS + NUM_ITEMS
    assert joint.num_edges == len(links) == 2 * len(TRAIN) + NUM_USERS + NUM_ITEMS
    assert set(map(tuple, joint.edge_index.t().tolist())) == links


def test_the_user_item_graph_is_not_changed(graph):
    before = graph.clone()
    JointGraph()(graph)
    assert graph.edge_types == before.edge_types
    for a, b in zip(graph.edge_stores[:2], before.edge_stores[:2], strict=True):
        assert torch.equal(a.edge_index, b.edge_index)


NUM_NODES = 30
KEPT = {(3, 4), (4, 3)}


def sparse(*pool):
    mask = torch.zeros(NUM_NODES, dtype=torch.bool)
    mask[list(pool)] = True
    edges = torch.tensor(sorted(KEPT)).t()
    return Data(edge_index=edges, num_nodes=NUM_NODES, pool_mask=mask)


def links_of(data):
    found = list(map(tuple, data.edge_index.t().tolist()))
    assert len(found) == len(set(found))
    return set(found)


LOOPS = {(i, i) for i in range(NUM_NODES)}


def test_links_join_the_pool_and_the_rest_stays():
    pool = {0, 5, 7, 12, 29}
    torch.manual_seed(0)
    links = links_of(RandomLinks(500, extra=0.0)(sparse(*pool)))
    assert links >= KEPT | LOOPS
    drawn = links - KEPT - LOOPS
    assert drawn == {(i, j) for i in pool for j in pool if i != j}


def test_links_run_both_ways_and_draws_are_counted():
    torch.manual_seed(0)
    links = links_of(RandomLinks(4, extra=0.0)(sparse(*range(NUM_NODES))))
    assert links == {(j, i) for i, j in links}
    assert 0 < len(links - KEPT - LOOPS) <= 8


def test_a_share_of_all_nodes_joins_the_pool():
    torch.manual_seed(0)
    links = links_of(RandomLinks(10_000, extra=0.2)(sparse(0)))
    touched = {i for i, j in links - KEPT - LOOPS}
    assert 0 in touched
    assert 3 <= len(touched) <= 7  # six draws with replacement, and node 0


def test_an_empty_pool_has_no_links():
    assert links_of(RandomLinks(100, extra=0.0)(sparse())) == KEPT | LOOPS


@pytest.mark.parametrize("arguments", [(-1, 0.2), (3, -0.1), (3, 1.1)])
def test_impossible_arguments(arguments):
    with pytest.raises(ValueError, match="num_pairs must not be negative, extra must"):
        RandomLinks(*arguments)


def links_of_of_subgraph_mask(data):
    return set(map(tuple, data.edge_index.t().tolist()))


def seeded(graph, *seeds):
    joint = JointGraph()(graph)
    joint.seed_mask = torch.zeros(joint.num_nodes, dtype=torch.bool)
    joint.seed_mask[list(seeds)] = True
    return joint


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("seeds", [{0}, {2, 15}, {8, 20}])
def test_is_the_naive_mask(graph, depth, seeds):
    joint = seeded(graph, *seeds)
    masked = SubgraphMask(depth)(joint)
    links, pool = reference.mask_around(links_of_of_subgraph_mask(joint), seeds, depth)
    assert links_of_of_subgraph_mask(masked) == links
    assert set(masked.pool_mask.nonzero().view(-1).tolist()) == pool
    assert masked.edge_index.size(1) == len(links)


def test_removed_edges_all_touch_a_seed_of_their_depth(graph):
    joint = seeded(graph, 2, 15)
    seeds, before = {2, 15}, links_of_of_subgraph_mask(joint)
    for depth in (1, 2):
        masked = SubgraphMask(depth)(joint)
        gone = before - links_of_of_subgraph_mask(masked)
        assert gone
        assert all(i in seeds or j in seeds for i, j in gone)
        seeds, before = (
            {i for pair in gone for i in pair},
            links_of_of_subgraph_mask(masked),
        )


def test_no_edge_of_a_seed_stays_not_even_its_loop(graph):
    masked = SubgraphMask(1)(seeded(graph, 0, NUM_USERS))
    assert not {0, NUM_USERS} & set(masked.edge_index.view(-1).tolist())
    assert (1, 1) in links_of_of_subgraph_mask(masked)


def test_without_seeds_the_graph_stays_whole(graph):
    joint = seeded(graph)
    masked = SubgraphMask()(joint)
    assert torch.equal(masked.edge_index, joint.edge_index)
    assert not masked.pool_mask.any()


def test_what_it_is_given_is_not_changed(graph):
    joint = seeded(graph, 0)
    before = links_of_of_subgraph_mask(joint)
    SubgraphMask()(joint)
    assert links_of_of_subgraph_mask(joint) == before
    assert joint.seed_mask.nonzero().view(-1).tolist() == [0]
    assert "pool_mask" not in joint


def test_an_impossible_depth():
    with pytest.raises(ValueError, match=r"depth must be positive \(got 0\)"):
        SubgraphMask(0)
