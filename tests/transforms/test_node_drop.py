import pytest
import torch

from pyg_advinfonce.graph import INTERACTS, ITEM, REV_INTERACTS, USER, build_graph
from pyg_advinfonce.transforms import NodeDrop
from tests.cases import NUM_ITEMS, NUM_USERS, TRAIN
from tests.transforms.test_edge_drop import edges_of


def drop(graph, p, seed=0):
    torch.manual_seed(seed)
    return NodeDrop(p)(graph)


def full_graph(num_users=10, num_items=7):
    edges = torch.cartesian_prod(torch.arange(num_users), torch.arange(num_items)).t()
    return build_graph(edges, num_users=num_users, num_items=num_items)


@pytest.mark.parametrize(
    ("p", "users", "items"), [(0.0, 10, 7), (0.1, 9, 7), (0.3, 7, 5), (0.9, 1, 1)]
)
def test_the_exact_number_of_nodes_loses_all_its_edges(p, users, items):
    view = drop(full_graph(), p)
    user, item = view[INTERACTS].edge_index
    assert (user.unique().numel(), item.unique().numel()) == (users, items)
    assert user.numel() == users * items  # no other edge is missing
    assert edges_of(view, REV_INTERACTS) == {(i, u) for u, i in edges_of(view)}


def test_nodes_keep_their_ids_and_the_input_its_edges(graph):
    view = drop(graph, 0.5)
    assert (view[USER].num_nodes, view[ITEM].num_nodes) == (NUM_USERS, NUM_ITEMS)
    assert edges_of(graph) == set(TRAIN)
    assert edges_of(view) < set(TRAIN)


def test_each_draw_is_another_and_the_seed_decides():
    graph = full_graph()
    assert edges_of(drop(graph, 0.3, 1)) == edges_of(drop(graph, 0.3, 1))
    assert len({frozenset(edges_of(drop(graph, 0.3, s))) for s in range(10)}) == 10


def test_impossible_shares_and_a_name():
    assert repr(NodeDrop(0.2)) == "NodeDrop(0.2)"
    with pytest.raises(ValueError, match=r"drop must be in \[0, 1\) \(got 1\)"):
        NodeDrop(1)
