import copy
import gc
import weakref

import pytest
import torch
from torch_geometric.data import Data

from pyg_advinfonce.encoders import AutoCF
from pyg_advinfonce.encoders.autocf import GraphTransformer
from pyg_advinfonce.errors import GraphError
from pyg_advinfonce.ops import Adjacency
from pyg_advinfonce.transforms import JointGraph
from tests import reference
from tests.cases import DIM, NUM_ITEMS, NUM_USERS, TRAIN, pairs

SIZE = NUM_USERS + NUM_ITEMS


def autocf(**options):
    torch.manual_seed(0)
    return AutoCF(NUM_USERS, NUM_ITEMS, DIM, **{"num_heads": 2, **options}).double()


def table_of(encoder):
    return torch.cat([encoder.user, encoder.item])


def joint(tables):
    return torch.cat(list(tables))


def some_graph(seed):
    """Return a symmetric graph of users and items together, without node 4."""
    torch.manual_seed(seed)
    half = torch.randint(5, SIZE, (2, 30))
    loops = torch.arange(SIZE).expand(2, -1)[:, 5:]
    links = torch.cat([half, half.flip(0), loops], 1)
    return Data(edge_index=links.unique(dim=1), num_nodes=SIZE)


def links_of(data):
    return set(map(tuple, data.edge_index.t().tolist()))


def test_a_user_item_graph_serves_both_parts(graph):
    encoder = autocf()
    z = encoder(graph)
    links = reference.joint_links(pairs(*TRAIN), NUM_USERS, NUM_ITEMS)
    expected = reference.autocf(encoder, table_of(encoder), links, links)
    torch.testing.assert_close(joint((z.user, z.item)), expected)
    whole = JointGraph()(graph)
    again = encoder((whole, whole))
    torch.testing.assert_close(joint((again.user, again.item)), expected)


def test_tables_may_start_by_xaviers_uniform_rule():
    torch.manual_seed(0)
    encoder = AutoCF(500, 2000, 64, init="uniform")
    for table in (encoder.user, encoder.item):
        bound = (6 / (len(table) + 64)) ** 0.5
        assert table.abs().max().item() == pytest.approx(bound, rel=1e-3)


@pytest.mark.parametrize("num_layers", [0, 1, 2])
def test_two_graphs_and_all_gradients(num_layers):
    encoder, masked, rebuilt = (
        autocf(num_layers=num_layers),
        some_graph(1),
        some_graph(2),
    )
    z = encoder((masked, rebuilt))
    views = links_of(masked), links_of(rebuilt)
    expected = reference.autocf(encoder, table_of(encoder), *views)
    torch.testing.assert_close(joint((z.user, z.item)), expected)
    leaves = list(encoder.parameters())
    found = torch.autograd.grad(z.user.square().sum() + z.item.sum(), leaves)
    wanted = (expected[:NUM_USERS] ** 2).sum() + expected[NUM_USERS:].sum()
    for a, b in zip(found, torch.autograd.grad(wanted, leaves), strict=True):
        torch.testing.assert_close(a, b)
        assert a.abs().sum() > 0


def test_the_layers_sum_up(graph):
    encoder = autocf()
    z = encoder(graph)
    assert len(z.layers) == 4
    assert torch.equal(joint(z.layers[0]), table_of(encoder))
    torch.testing.assert_close(
        joint((z.user, z.item)), sum(joint(layer) for layer in z.layers)
    )


def test_a_node_without_links_keeps_its_own_row():
    encoder = autocf()
    z = encoder((some_graph(1), some_graph(2)))
    torch.testing.assert_close(z.user[4], encoder.user[4])


def test_an_adjacency_is_made_once_a_graph(graph, monkeypatch):
    made, build = [], Adjacency.from_edge_index
    monkeypatch.setattr(
        Adjacency, "from_edge_index", lambda *x: (made.append(1), build(*x))[1]
    )
    encoder, view = autocf(), some_graph(1)
    encoder(graph), encoder(graph)
    encoder((view, view)), encoder((view, view))
    assert len(made) == 2
    encoder((view, some_graph(1)))
    assert len(made) == 3


def test_a_graph_that_is_gone_is_forgotten(graph, monkeypatch):
    made, build = [], Adjacency.from_edge_index

    def watched(*args):
        adjacency = build(*args)
        made.append(weakref.ref(adjacency))
        return adjacency

    monkeypatch.setattr(Adjacency, "from_edge_index", watched)
    encoder = autocf()
    encoder(graph)
    for seed in range(3):
        encoder((some_graph(seed), some_graph(seed)))
    gc.collect()
    assert [ref() is not None for ref in made] == [True] + [False] * 6


def test_a_copy_encodes_alike(graph):
    encoder = autocf()
    expected = encoder(graph)
    assert torch.equal(copy.deepcopy(encoder)(graph).user, expected.user)


def test_mode_and_perturb_change_nothing(graph):
    encoder = autocf()
    expected = encoder(graph).user
    assert torch.equal(encoder(graph, perturb=True).user, expected)
    assert torch.equal(encoder.eval()(graph).user, expected)


def test_a_part_of_the_graph_is_refused(graph):
    part = JointGraph()(graph)
    part.num_nodes = 3
    with pytest.raises(
        GraphError, match=r"whole graph of 21 users and items \(got 3\)"
    ):
        autocf()((part, part))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 4}, r"num_heads must divide dim 6 \(got 4\)"),
        ({"num_heads": 0}, r"num_heads must divide dim 6 \(got 0\)"),
        ({"num_layers": -1}, r"num_layers must not be negative \(got -1\)"),
        ({"num_layers": 1001}, r"num_layers must be at most 1000 \(got 1001\)"),
    ],
)
def test_impossible_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        autocf(**options)


def test_attention_rows_sum_to_one():
    links = links_of(some_graph(2))
    layer = GraphTransformer(DIM, 3).double()
    torch.manual_seed(0)
    x = torch.randn(SIZE, DIM, dtype=torch.float64)
    with torch.no_grad():
        parts = (x @ m.weight.t() for m in (layer.query, layer.key, layer.value))
        expected, weights = reference.attention(*parts, links, 3)
        view = some_graph(2)
        ones = torch.ones(view.num_edges)
        messages = Adjacency.from_edge_index(view.edge_index, ones, SIZE, SIZE)
        torch.testing.assert_close(layer(x, messages), expected)
    for head in range(3):
        for row in range(5, SIZE):
            mine = [a for (h, i, _), a in weights.items() if (h, i) == (head, row)]
            assert sum(mine).item() == pytest.approx(1, abs=1e-7)
    nn_ones = torch.nn.Linear(DIM, DIM, bias=False).double()
    layer.value = nn_ones
    torch.nn.init.zeros_(layer.value.weight)
    with torch.no_grad():
        layer.value.weight[:, 0] = 1.0
        x[:, 0] = 1.0
        out = layer(x, messages)
    torch.testing.assert_close(out[5:], torch.ones(SIZE - 5, DIM).double())
