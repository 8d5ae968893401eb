import torch

from pyg_advinfonce.transforms import JointGraph
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
