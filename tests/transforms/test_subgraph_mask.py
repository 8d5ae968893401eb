import pytest
import torch

from pyg_advinfonce.transforms import JointGraph, SubgraphMask
from tests import reference
from tests.cases import NUM_USERS


def links_of(data):
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
    links, pool = reference.mask_around(links_of(joint), seeds, depth)
    assert links_of(masked) == links
    assert set(masked.pool_mask.nonzero().view(-1).tolist()) == pool
    assert masked.edge_index.size(1) == len(links)


def test_removed_edges_all_touch_a_seed_of_their_depth(graph):
    joint = seeded(graph, 2, 15)
    seeds, before = {2, 15}, links_of(joint)
    for depth in (1, 2):
        masked = SubgraphMask(depth)(joint)
        gone = before - links_of(masked)
        assert gone
        assert all(i in seeds or j in seeds for i, j in gone)
        seeds, before = {i for pair in gone for i in pair}, links_of(masked)


def test_no_edge_of_a_seed_stays_not_even_its_loop(graph):
    masked = SubgraphMask(1)(seeded(graph, 0, NUM_USERS))
    assert not {0, NUM_USERS} & set(masked.edge_index.view(-1).tolist())
    assert (1, 1) in links_of(masked)


def test_without_seeds_the_graph_stays_whole(graph):
    joint = seeded(graph)
    masked = SubgraphMask()(joint)
    assert torch.equal(masked.edge_index, joint.edge_index)
    assert not masked.pool_mask.any()


def test_what_it_is_given_is_not_changed(graph):
    joint = seeded(graph, 0)
    before = links_of(joint)
    SubgraphMask()(joint)
    assert links_of(joint) == before
    assert joint.seed_mask.nonzero().view(-1).tolist() == [0]
    assert "pool_mask" not in joint


def test_an_impossible_depth():
    with pytest.raises(ValueError, match=r"depth must be positive \(got 0\)"):
        SubgraphMask(0)
