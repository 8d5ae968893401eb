"""Every form of edges that PyG knows gives the same embeddings and gradients."""

import copy

import pytest
import torch
from torch_geometric.transforms import ToSparseTensor

from pyg_advinfonce.encoders import VGAE, AutoCF, LightGCN, UltraGCN
from pyg_advinfonce.errors import GraphError
from pyg_advinfonce.graph import INTERACTS, REV_INTERACTS, message_graph
from pyg_advinfonce.losses import InfoNCE
from tests.adjacency_forms import FORMS, stored_as
from tests.cases import DIM, NUM_ITEMS, NUM_USERS, toy_batch, toy_graph

ENCODERS = {
    "lightgcn": lambda: LightGCN(NUM_USERS, NUM_ITEMS, DIM),
    "layers": lambda: LightGCN(NUM_USERS, NUM_ITEMS, DIM, propagate_layers=3),
    "vgae": lambda: VGAE(NUM_USERS, NUM_ITEMS, DIM),
    "autocf": lambda: AutoCF(NUM_USERS, NUM_ITEMS, DIM, num_heads=2),
    "ultragcn": lambda: UltraGCN(NUM_USERS, NUM_ITEMS, DIM),
}


@pytest.fixture(autouse=True)
def _double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def loss_and_gradients(encoder, graph):
    torch.manual_seed(0)
    z = encoder(graph)
    loss = InfoNCE()(z.user, z.item, toy_batch())
    return [loss, *torch.autograd.grad(loss, list(encoder.parameters()))]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ENCODERS)
def test_loss_and_gradients_are_the_same_in_every_form(name, form):
    encoder, graph = ENCODERS[name](), toy_graph()
    expected = loss_and_gradients(encoder, graph)
    found = loss_and_gradients(encoder, stored_as(form, graph))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ENCODERS)
def test_isolated_nodes_and_graphs_without_edges_stay_finite(name, form):
    graph, encoder = toy_graph(), ENCODERS[name]()
    for _ in range(2):
        for part in loss_and_gradients(encoder, stored_as(form, graph)):
            assert part.isfinite().all()
        for edges in (graph[INTERACTS], graph[REV_INTERACTS]):
            edges.edge_index = edges.edge_index[:, :0]
            edges.edge_weight = edges.edge_weight[:0]


@pytest.mark.parametrize("form", FORMS)
def test_isolated_nodes_keep_their_share_of_layer_0(form):
    encoder, graph = LightGCN(NUM_USERS, NUM_ITEMS, DIM), toy_graph()
    z = encoder(stored_as(form, graph))
    torch.testing.assert_close(z.user[-1], encoder.user[-1] / 3)
    torch.testing.assert_close(z.item[-1], encoder.item[-1] / 3)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("edge_type", [INTERACTS, REV_INTERACTS])
@pytest.mark.parametrize("name", ["lightgcn", "vgae"])
def test_a_direction_that_is_missing_is_named(name, form, edge_type):
    graph = stored_as(form, toy_graph())
    del graph[edge_type]
    with pytest.raises(GraphError, match=f"no edges .*'{edge_type[1]}'.*ToUndirected"):
        ENCODERS[name]()(graph)


@pytest.mark.parametrize("form", FORMS)
def test_a_graph_without_weights_is_told_what_to_apply(form):
    graph = message_graph(toy_graph())
    for edges in (graph[INTERACTS], graph[REV_INTERACTS]):
        del edges.edge_weight
    with pytest.raises(GraphError, match=r"lack weights: apply BipartiteNorm\(\)"):
        ENCODERS["lightgcn"]()(stored_as(form, graph))


@pytest.mark.parametrize("form", FORMS)
def test_messages_are_sorted_once_a_graph(form, monkeypatch):
    from pyg_advinfonce.encoders import propagation as relations

    graph, encoder, calls = stored_as(form, toy_graph()), ENCODERS["lightgcn"](), []
    build = relations._relations
    monkeypatch.setattr(
        relations, "_relations", lambda *args: calls.append(args[0]) or build(*args)
    )
    encoder(graph), encoder(graph)
    assert calls == [graph]


@pytest.mark.parametrize("form", ["edge_index", "EdgeIndex", "int32", "requires_grad"])
def test_directions_share_their_matrices_if_their_edges_and_weights_agree(form):
    graph, encoder = stored_as(form, toy_graph()), ENCODERS["lightgcn"]()
    to_user, to_item = encoder._relations(graph, (encoder.user, encoder.item))
    assert to_user.matrix is to_item.transpose
    assert to_user.transpose is to_item.matrix


def test_directions_with_other_weights_share_nothing():
    graph, encoder = toy_graph(), ENCODERS["lightgcn"]()
    graph[REV_INTERACTS].edge_weight = 2 * graph[REV_INTERACTS].edge_weight
    to_user, to_item = encoder._relations(graph, (encoder.user, encoder.item))
    assert torch.equal(to_user.matrix.value, 2 * to_item.transpose.value)
    assert torch.equal(to_user.transpose.value, 2 * to_item.matrix.value)


@pytest.mark.parametrize("form", FORMS)
def test_other_weights_in_the_same_form_are_seen(form):
    graph, encoder = toy_graph(), ENCODERS["lightgcn"]()
    z = encoder(stored_as(form, graph))
    for edges in (graph[INTERACTS], graph[REV_INTERACTS]):
        edges.edge_weight = 2 * edges.edge_weight
    doubled = encoder(stored_as(form, graph))
    assert not torch.allclose(z.user, doubled.user)


def test_weights_that_are_changed_in_place_are_seen():
    graph, encoder = toy_graph(), ENCODERS["lightgcn"]()
    encoder(graph)
    for edges in (graph[INTERACTS], graph[REV_INTERACTS]):
        edges.edge_weight.mul_(2)
    fresh = copy.deepcopy(encoder)  # remembers no graph
    torch.testing.assert_close(encoder(graph).user, fresh(graph).user)


def test_tables_of_another_size_on_the_same_edges():
    graph, encoder = toy_graph(), ENCODERS["lightgcn"]()
    expected = encoder(graph)
    more = torch.cat([encoder.user, encoder.user[:2]])
    z = encoder.propagate(more, encoder.item, graph)
    torch.testing.assert_close(z.item, expected.item)
    assert len(z.user) == len(more)


def test_weights_of_one_are_weights_where_no_node_has_two_edges():
    graph = message_graph(toy_graph())
    for edges in (graph[INTERACTS], graph[REV_INTERACTS]):
        edges.edge_index, edges.edge_weight = edges.edge_index[:, :1], torch.ones(1)
    encoder = ENCODERS["lightgcn"]()
    expected = encoder(graph)
    sparse = ToSparseTensor(layout=torch.sparse_csr)(graph.clone())
    torch.testing.assert_close(encoder(sparse).item, expected.item)
