import torch
import torch_geometric.transforms as T  # noqa: N812
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from pyg_advinfonce.graph import INTERACTS, REV_INTERACTS, build_graph
from pyg_advinfonce.transforms import BipartiteNorm
from tests import reference
from tests.cases import NUM_ITEMS, NUM_USERS, TRAIN, pairs


def dense(graph):
    """The joint adjacency, users before items, from what both relations store."""
    size = NUM_USERS + NUM_ITEMS
    matrix = torch.zeros(size, size)
    user, item = graph[INTERACTS].edge_index
    matrix[item + NUM_USERS, user] = graph[INTERACTS].edge_weight
    item, user = graph[REV_INTERACTS].edge_index
    matrix[user, item + NUM_USERS] = graph[REV_INTERACTS].edge_weight
    return matrix


def test_weights_are_the_naive_formula(graph):
    expected = reference.normalized_adjacency(pairs(*TRAIN), NUM_USERS, NUM_ITEMS)
    torch.testing.assert_close(dense(graph), expected.float())


def test_weights_are_those_of_pyg(graph):
    edges = graph[INTERACTS].edge_index + torch.tensor([[0], [NUM_USERS]])
    both = torch.cat([edges, edges.flip(0)], 1)
    _, weight = gcn_norm(both, None, NUM_USERS + NUM_ITEMS, add_self_loops=False)
    found = [graph[t].edge_weight for t in (INTERACTS, REV_INTERACTS)]
    torch.testing.assert_close(torch.cat(found), weight)


def test_the_matrix_is_symmetric_with_spectral_radius_one(graph):
    matrix = dense(graph)
    assert torch.equal(matrix, matrix.t())
    eigenvalues = torch.linalg.eigvalsh(matrix.double())
    assert abs(eigenvalues.abs().max().item() - 1) < 1e-6


def test_an_isolated_nodes_row_is_zero(graph):
    matrix = dense(graph)
    assert not matrix[NUM_USERS - 1].any()
    assert not matrix[-1].any()
    assert matrix.isfinite().all()


def test_a_graph_without_edges():
    graph = BipartiteNorm()(build_graph(pairs(), num_users=2, num_items=3))
    assert graph[INTERACTS].edge_weight.shape == (0,)
    assert graph[REV_INTERACTS].edge_weight.shape == (0,)


def test_directions_may_hold_the_edges_in_another_order(graph):
    expected = dense(graph)
    order = torch.randperm(len(TRAIN))
    graph[REV_INTERACTS].edge_index = graph[REV_INTERACTS].edge_index[:, order]
    torch.testing.assert_close(dense(BipartiteNorm()(graph)), expected)


def test_the_input_is_left_alone_and_twice_is_once():
    plain = build_graph(pairs(*TRAIN), num_users=NUM_USERS, num_items=NUM_ITEMS)
    once = BipartiteNorm()(plain)
    assert "edge_weight" not in plain[INTERACTS]
    assert torch.equal(dense(BipartiteNorm()(once)), dense(once))


def test_composes_with_pygs_transforms():
    plain = build_graph(pairs(*TRAIN), num_users=NUM_USERS, num_items=NUM_ITEMS)
    expected = dense(BipartiteNorm()(plain))
    del plain[REV_INTERACTS]
    graph = T.Compose([T.ToUndirected(), BipartiteNorm()])(plain)
    torch.testing.assert_close(dense(graph), expected)
