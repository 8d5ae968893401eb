import copy
import math
from itertools import pairwise

import pytest
import torch
import torch_geometric.nn as pyg
import torch_geometric.transforms as T  # noqa: N812
from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import LightGCN, UniformNoise
from pyg_advinfonce.errors import GraphError
from pyg_advinfonce.graph import INTERACTS, ITEM, REV_INTERACTS, USER, build_graph
from pyg_advinfonce.ops import CSR, propagate
from pyg_advinfonce.transforms import BipartiteNorm
from tests import cases, reference
from tests.cases import DIM, NUM_ITEMS, NUM_USERS, TRAIN, pairs

DIRECTIONS = (INTERACTS, REV_INTERACTS)


def light_gcn(num_layers=2, alpha=None, seed=0, dim=DIM):
    torch.manual_seed(seed)
    return LightGCN(NUM_USERS, NUM_ITEMS, dim, num_layers, alpha).double()


def double(graph):
    for edge_type in DIRECTIONS:
        graph[edge_type].edge_weight = graph[edge_type].edge_weight.double()
    return graph


def joint(z):
    return torch.cat([z.user, z.item])


def table_of(encoder):
    return torch.cat([encoder.user, encoder.item]).detach()


def test_g5():
    graph = build_graph(pairs((0, 0), (0, 1), (1, 1)), num_users=2, num_items=3)
    encoder = LightGCN(2, 3, dim=1).double()
    with torch.no_grad():
        encoder.user.copy_(torch.tensor([[1.0], [2.0]]))
        encoder.item.copy_(torch.tensor([[3.0], [4.0], [5.0]]))
    z = encoder(double_norm(graph))
    layers = [torch.cat(tables)[:, 0].tolist() for tables in z.layers]
    assert layers[0] == [1, 2, 3, 4, 5]
    first = [4.12132034, 2.82842712, 0.70710678, 1.91421356, 0]
    second = [1.45710678, 1.35355339, 2.91421356, 4.06066017, 0]
    mean = [2.19280904, 2.06066017, 2.20710678, 3.32495791, 1.66666667]
    assert layers[1] == pytest.approx(first, abs=5e-9)
    assert layers[2] == pytest.approx(second, abs=5e-9)
    assert joint(z)[:, 0].tolist() == pytest.approx(mean, abs=5e-9)


def double_norm(graph):
    """Normalise in double precision: PyG's degrees are single."""
    user, item = graph[INTERACTS].edge_index
    num_users, num_items = graph[USER].num_nodes, graph[ITEM].num_nodes
    scale = [
        torch.bincount(index, minlength=num).double().rsqrt()
        for index, num in ((user, num_users), (item, num_items))
    ]
    weight = scale[0][user] * scale[1][item]
    for edge_type in DIRECTIONS:
        graph[edge_type].edge_weight = weight.clone()
    return graph


@pytest.mark.parametrize("alpha", [None, (0.5, 0.25, 0.25, 0.0)])
def test_is_the_naive_formula_and_so_are_its_gradients(graph, alpha):
    encoder = light_gcn(3, alpha)
    adjacency = reference.normalized_adjacency(pairs(*TRAIN), NUM_USERS, NUM_ITEMS)
    table = table_of(encoder).requires_grad_()
    expected, layers = reference.light_gcn(adjacency, table, 3, alpha)
    z = encoder(double_norm(graph))
    torch.testing.assert_close(joint(z), expected)
    for found, wanted in zip(z.layers, layers, strict=True):
        torch.testing.assert_close(torch.cat(found), wanted)
    joint(z).square().sum().backward()
    expected.square().sum().backward()
    found = torch.cat([encoder.user.grad, encoder.item.grad])
    torch.testing.assert_close(found, table.grad)


@pytest.mark.parametrize("num_layers", [0, 1, 3])
def test_equals_pygs_light_gcn_of_the_same_tables(graph, num_layers):
    encoder = light_gcn(num_layers)
    other = pyg.LightGCN(NUM_USERS + NUM_ITEMS, DIM, num_layers).double()
    with torch.no_grad():
        other.embedding.weight.copy_(table_of(encoder))
    edges = graph[INTERACTS].edge_index + torch.tensor([[0], [NUM_USERS]])
    expected = other.get_embedding(torch.cat([edges, edges.flip(0)], 1))
    z = encoder(double_norm(graph))
    torch.testing.assert_close(joint(z), expected)


def test_equals_pygs_layer_on_the_joint_graph(graph):
    encoder = light_gcn(1)
    edges = graph[INTERACTS].edge_index + torch.tensor([[0], [NUM_USERS]])
    both = torch.cat([edges, edges.flip(0)], 1)
    index, weight = pyg.conv.gcn_conv.gcn_norm(
        both, None, NUM_USERS + NUM_ITEMS, add_self_loops=False, dtype=torch.float64
    )
    by_hand = pyg.LGConv(normalize=False)(table_of(encoder), index, weight)
    by_pyg = pyg.LGConv()(table_of(encoder), both)
    z = encoder(double_norm(graph))
    torch.testing.assert_close(torch.cat(z.layers[1]), by_hand)
    torch.testing.assert_close(torch.cat(z.layers[1]), by_pyg)


def test_renaming_nodes_renames_embeddings(graph):
    encoder = light_gcn()
    expected = encoder(double_norm(graph))
    users = torch.randperm(NUM_USERS, generator=torch.Generator().manual_seed(1))
    items = torch.randperm(NUM_ITEMS, generator=torch.Generator().manual_seed(2))
    user, item = pairs(*TRAIN)
    renamed = build_graph(
        torch.stack([users[user], items[item]]),
        num_users=NUM_USERS,
        num_items=NUM_ITEMS,
    )
    other = copy.deepcopy(encoder)
    with torch.no_grad():
        other.user[users] = encoder.user
        other.item[items] = encoder.item
    z = other(double_norm(renamed))
    torch.testing.assert_close(z.user[users], expected.user)
    torch.testing.assert_close(z.item[items], expected.item)


def test_the_first_layer_alone_is_matrix_factorisation(graph):
    z = light_gcn(2, (1, 0, 0))(double(graph))
    flat = light_gcn(0)(double(graph))
    assert torch.equal(joint(z), joint(flat))
    assert torch.equal(flat.user, flat.layers[0][0])
    assert len(flat.layers) == 1


def test_equal_weights_are_the_default(graph):
    graph = double(graph)
    z = light_gcn(2, (1 / 3, 1 / 3, 1 / 3))(graph)
    torch.testing.assert_close(joint(light_gcn(2)(graph)), joint(z))


def test_isolated_nodes_keep_their_layer_0_share(graph):
    encoder = light_gcn(2)
    z = encoder(double(graph))
    assert joint(z).isfinite().all()
    torch.testing.assert_close(z.user[-1], encoder.user[-1] / 3)
    torch.testing.assert_close(z.item[-1], encoder.item[-1] / 3)


def test_a_graph_without_edges():
    graph = build_graph(pairs(), num_users=NUM_USERS, num_items=NUM_ITEMS)
    encoder = light_gcn(2)
    z = encoder(double(BipartiteNorm()(graph)))
    torch.testing.assert_close(joint(z), table_of(encoder) / 3)


@pytest.mark.parametrize("missing", DIRECTIONS)
def test_a_graph_of_one_direction_is_refused_by_name(graph, missing):
    del graph[missing]
    with pytest.raises(GraphError, match=f"no edges .*{missing[1]}.* both directions"):
        light_gcn()(graph)


def test_missing_weights_are_refused(graph):
    del graph[REV_INTERACTS]["edge_weight"]
    with pytest.raises(GraphError, match=r"rev_interacts.* apply BipartiteNorm\(\)"):
        light_gcn()(graph)


def test_without_layers_nothing_of_the_graph_is_needed():
    assert light_gcn(0)(HeteroData()).user.shape == (NUM_USERS, DIM)


def test_any_index_type_layout_and_order_give_the_same(graph):
    encoder = light_gcn()
    expected = joint(encoder(double(graph)))

    def with_edges(change):
        view = double(cases.toy_graph())
        for edge_type in DIRECTIONS:
            change(view[edge_type])
        return joint(encoder(view))

    def narrow(edges):
        edges.edge_index = edges.edge_index.int()

    def stride(edges):
        edges.edge_index = edges.edge_index.t().contiguous().t()

    def require(edges):
        edges.edge_weight.requires_grad_()

    def shuffle(edges):
        order = torch.randperm(len(TRAIN))
        edges.edge_index = edges.edge_index[:, order]
        edges.edge_weight = edges.edge_weight[order]

    for change in (narrow, stride, require, shuffle):
        torch.testing.assert_close(with_edges(change), expected)


def test_one_weight_for_both_directions(graph):
    """ToUndirected hands the same tensor to the reverse edges."""
    encoder = light_gcn(1)
    expected = joint(encoder(double_norm(graph)))
    del graph[REV_INTERACTS]
    graph = T.ToUndirected()(graph)
    torch.testing.assert_close(joint(encoder(graph)), expected)


def test_as_many_users_as_items_do_not_confuse_the_directions():
    edges = pairs((0, 0), (0, 1), (1, 2))
    graph = build_graph(edges, num_users=3, num_items=3)
    for edge_type in DIRECTIONS:
        graph[edge_type].edge_weight = torch.tensor([1.0, 2.0, 3.0])
    encoder = LightGCN(3, 3, dim=2, num_layers=1)
    dense = torch.zeros(3, 3)
    dense[edges[0], edges[1]] = torch.tensor([1.0, 2.0, 3.0])
    z = encoder(graph)
    torch.testing.assert_close(z.layers[1][0], dense @ encoder.item)
    torch.testing.assert_close(z.layers[1][1], dense.t() @ encoder.user)


def test_a_list_has_one_graph_a_layer(graph):
    encoder = light_gcn(2)
    part = build_graph(pairs(*TRAIN[:9]), num_users=NUM_USERS, num_items=NUM_ITEMS)
    first, second = double_norm(graph), double_norm(part)
    z = encoder([first, second])
    table = table_of(encoder)
    layers = [table]
    for edges in (TRAIN, TRAIN[:9]):
        adjacency = reference.normalized_adjacency(pairs(*edges), NUM_USERS, NUM_ITEMS)
        layers.append(adjacency @ layers[-1])
    torch.testing.assert_close(joint(z), sum(layers) / 3)
    same = encoder([first, first])
    torch.testing.assert_close(joint(same), joint(encoder(first)))


def test_layers_are_made_on_demand_and_sum_up(graph):
    encoder = LightGCN(NUM_USERS, NUM_ITEMS, 4, num_layers=3, alpha=(0.5, 0.25, 0, 2))
    encoder = encoder.double()
    z = encoder(double_norm(graph))
    assert len(z.layers) == 4
    assert z.layers[-1] is z.layers[3]
    assert z.layers[1:3][0] is z.layers[1]
    with pytest.raises(IndexError):
        _ = z.layers[4]
    for found, place in ((z.user, 0), (z.item, 1)):
        parts = [
            w * rows[place] for w, rows in zip(encoder.alpha, z.layers, strict=True)
        ]
        torch.testing.assert_close(found, sum(parts))
    tables = (encoder.user, encoder.item)
    seed = torch.randn_like(z.user)
    fused = torch.autograd.grad(z.user, tables, seed, retain_graph=True)
    summed = sum(w * rows[0] for w, rows in zip(encoder.alpha, z.layers, strict=True))
    for a, b in zip(fused, torch.autograd.grad(summed, tables, seed), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("num_graphs", [1, 3])
def test_a_list_of_another_length(graph, num_graphs):
    message = rf"one graph per layer, 2 in all \(got {num_graphs}\)"
    with pytest.raises(ValueError, match=message):
        light_gcn(2)([graph] * num_graphs)


def test_a_new_graph_is_never_mistaken_for_an_old_one():
    encoder = light_gcn(1)
    for size in range(1, len(TRAIN)):
        part = build_graph(
            pairs(*TRAIN[:size]), num_users=NUM_USERS, num_items=NUM_ITEMS
        )
        adjacency = reference.normalized_adjacency(
            pairs(*TRAIN[:size]), NUM_USERS, NUM_ITEMS
        )
        expected, _ = reference.light_gcn(adjacency, table_of(encoder), 1)
        torch.testing.assert_close(joint(encoder(double_norm(part))), expected)


def test_a_sampled_graph_reads_the_rows_of_its_nodes(graph):
    """All nodes in another order, as a loader may return them."""
    encoder = light_gcn()
    expected = encoder(double_norm(graph))
    users, items = torch.randperm(NUM_USERS), torch.randperm(NUM_ITEMS)
    user, item = pairs(*TRAIN)
    local = HeteroData()
    local[USER].n_id, local[ITEM].n_id = users, items
    edges = torch.stack([users.argsort()[user], items.argsort()[item]])
    lookup = {tuple(e): w for e, w in zip(*edges_and_weights(graph), strict=True)}
    local[INTERACTS].edge_index = edges
    local[INTERACTS].edge_weight = torch.tensor(
        [lookup[edge] for edge in TRAIN], dtype=torch.float64
    )
    local[REV_INTERACTS].edge_index = edges.flip(0)
    local[REV_INTERACTS].edge_weight = local[INTERACTS].edge_weight.clone()
    z = encoder(local)
    torch.testing.assert_close(z.user, expected.user[users])
    torch.testing.assert_close(z.item, expected.item[items])


def edges_and_weights(graph):
    edges = graph[INTERACTS]
    return edges.edge_index.t().tolist(), edges.edge_weight.tolist()


def test_a_copy_and_a_state_dict_hold_the_tables_alone(graph):
    encoder = light_gcn()
    expected = joint(encoder(double(graph)))
    assert torch.equal(joint(copy.deepcopy(encoder)(graph)), expected)
    assert list(encoder.state_dict()) == ["user", "item"]
    other = light_gcn(seed=1)
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(joint(other(graph)), expected)


def test_tables_may_start_by_xaviers_uniform_rule():
    torch.manual_seed(0)
    encoder = LightGCN(500, 2000, 64, init="uniform")
    for table in (encoder.user, encoder.item):
        bound = (6 / (len(table) + 64)) ** 0.5
        assert table.abs().max().item() == pytest.approx(bound, rel=1e-3)
        assert table.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    with pytest.raises(ValueError, match="init must be 'normal' or 'uniform'"):
        LightGCN(5, 5, init="zero")


def test_tables_start_by_xaviers_normal_rule_each_on_its_own():
    torch.manual_seed(0)
    encoder = LightGCN(2000, 500, dim=64)
    for table in (encoder.user, encoder.item):
        expected = math.sqrt(2 / sum(table.shape))
        assert table.std().item() == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 0}, r"dim must be positive \(got 0\)"),
        ({"num_layers": -1}, r"num_layers must not be negative \(got -1\)"),
        ({"num_layers": 1001}, r"num_layers must be at most 1000 \(got 1001\)"),
        ({"alpha": (1.0, 2.0)}, r"alpha needs 3 weights, one per layer \(got 2\)"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        LightGCN(3, 4, **options)


def test_the_mode_changes_nothing(graph):
    encoder = light_gcn()
    double(graph)
    expected = joint(encoder(graph))
    assert torch.equal(joint(encoder.eval()(graph, perturb=False)), expected)
    assert torch.equal(joint(encoder(graph, perturb=True)), expected)


def with_options(num_layers=2, **options):
    torch.manual_seed(0)
    encoder = LightGCN(NUM_USERS, NUM_ITEMS, DIM, num_layers, **options)
    return encoder.double()


def whole():
    return reference.normalized_adjacency(pairs(*TRAIN), NUM_USERS, NUM_ITEMS)


RANDOM = ({"noise": 0.3}, {"message_drop": 0.4}, {"noise": 0.3, "message_drop": 0.4})
random = pytest.mark.parametrize("options", RANDOM, ids=lambda o: "-".join(o))


@random
def test_layers_are_the_very_ones_that_were_summed(graph, options):
    encoder = with_options(3, first_layer=1, **options)
    z = encoder(double_norm(graph))
    for found, place in ((z.user, 0), (z.item, 1)):
        summed = sum(rows[place] for rows in z.layers[1:]) / 3
        torch.testing.assert_close(found, summed, rtol=1e-12, atol=1e-14)


@random
def test_only_training_perturbs_and_each_pass_anew(graph, options):
    encoder, plain = with_options(**options), with_options()
    graph = double_norm(graph)
    expected = joint(plain(graph))
    torch.testing.assert_close(joint(encoder(graph, perturb=False)), expected)
    encoder.eval()
    torch.testing.assert_close(joint(encoder(graph)), expected)
    perturbed = joint(encoder(graph, perturb=True))
    encoder.train()
    first, second = joint(encoder(graph)), joint(encoder(graph))
    for a, b in ((first, second), (first, expected), (perturbed, expected)):
        assert not torch.allclose(a, b)


@random
def test_the_seed_decides_a_perturbed_pass(graph, options):
    encoder, graph = with_options(**options), double_norm(graph)
    found = []
    for _ in range(2):
        torch.manual_seed(4)
        found.append(joint(encoder(graph)))
    assert torch.equal(*found)


def test_noise_pushes_every_layer_but_the_first_by_its_length(graph):
    encoder = with_options(3, noise=0.25)
    z = encoder(double_norm(graph))
    layers = [torch.cat(rows) for rows in z.layers]
    assert torch.equal(layers[0], torch.cat([encoder.user, encoder.item]))
    for before, after in pairwise(layers):
        clean = whole() @ before  # what the layer is without noise of its own
        lengths = (after - clean).norm(dim=1)
        isolated = ~whole().any(dim=1)
        assert not after[isolated].any()
        expected = torch.full_like(lengths, 0.25).masked_fill(isolated, 0)
        torch.testing.assert_close(lengths, expected)
        assert torch.equal(after.sign(), clean.sign())


def test_training_and_evaluation_differ_by_noise_alone(graph):
    encoder = with_options(noise=0.25, first_layer=1)
    train, clean = encoder(double_norm(graph)), encoder(graph, perturb=False)
    for a, b in zip(train.layers[1], clean.layers[1], strict=True):
        lengths = (a - b)[:-1].norm(dim=1)  # the last node is isolated
        torch.testing.assert_close(lengths, torch.full_like(lengths, 0.25))
    encoder.noise = None
    assert torch.equal(joint(encoder(graph)), joint(clean))


@pytest.mark.parametrize("options", [{}, {"noise": 0.1}], ids=["clean", "noisy"])
def test_the_sum_may_leave_the_first_layers_out(graph, options):
    encoder = with_options(3, first_layer=2, **options)
    assert encoder.alpha == (0, 0, 0.5, 0.5)
    z = encoder(double_norm(graph))
    for found, place in ((z.user, 0), (z.item, 1)):
        summed = (z.layers[2][place] + z.layers[3][place]) / 2
        torch.testing.assert_close(found, summed)
    assert not z.user[-1].any()  # an isolated node has only layer 0


def dropped_matrices(graph, num_layers, p):
    """Draw each layer's dense adjacency as the encoder does: to users, to items."""
    edges = graph[INTERACTS].edge_index.t().tolist()
    found = []
    for _ in range(num_layers):
        matrix = torch.zeros_like(whole())
        for to_user in (True, False):
            kept = torch.rand(len(edges)) >= p
            for (u, i), stays in zip(edges, kept.tolist(), strict=True):
                a, b = u, NUM_USERS + i
                row, column = (a, b) if to_user else (b, a)
                matrix[row, column] = whole()[row, column] / (1 - p) if stays else 0.0
        found.append(matrix)
    return found


def test_dropped_messages_are_those_of_dense_matrices_and_so_are_gradients(graph):
    encoder = with_options(2, message_drop=0.4)
    torch.manual_seed(9)
    z = encoder(double_norm(graph))
    torch.manual_seed(9)
    first, second = dropped_matrices(graph, 2, 0.4)
    assert not torch.equal(first, second)
    table = table_of(encoder).requires_grad_()
    layers = [table, first @ table, second @ (first @ table)]
    torch.testing.assert_close(joint(z), sum(layers) / 3)
    seed = torch.randn_like(table)
    found = torch.autograd.grad(joint(z), (encoder.user, encoder.item), seed)
    (wanted,) = torch.autograd.grad(sum(layers) / 3, table, seed)
    torch.testing.assert_close(torch.cat(found), wanted)


def test_dropping_messages_keeps_the_mean(graph):
    encoder, graph = with_options(1, message_drop=0.3), double_norm(graph)
    with torch.no_grad():
        draws = torch.stack([joint(encoder(graph)) for _ in range(2000)])
        clean = joint(encoder(graph, perturb=False))
    error = (draws.mean(0) - clean).abs()
    assert (error <= 4.5 * draws.std(0) / 2000**0.5 + 1e-12).all()


def test_no_noise_and_nothing_dropped_are_the_plain_encoder(graph):
    graph = double_norm(graph)
    encoder = with_options(noise=0.0, message_drop=0.0)
    assert torch.equal(joint(encoder(graph)), joint(with_options()(graph)))


def test_further_layers_than_are_summed_can_be_asked_for(graph):
    encoder, plain = with_options(1, propagate_layers=4), with_options(1)
    graph = double_norm(graph)
    z = encoder(graph)
    torch.testing.assert_close(joint(z), joint(plain(graph)))
    assert len(z.layers) == 5
    expected = torch.linalg.matrix_power(whole(), 4) @ table_of(encoder)
    torch.testing.assert_close(torch.cat(z.layers[4]), expected)
    seed = torch.randn_like(z.user)
    grads = (
        torch.autograd.grad(x.user, (e.user, e.item), seed)
        for x, e in ((z, encoder), (plain(graph), plain))
    )
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


def test_layers_that_are_asked_for_are_not_made_twice(graph, monkeypatch):
    passes = []
    place = "pyg_advinfonce.encoders.propagation.propagate"
    monkeypatch.setattr(place, lambda a, x: (passes.append(1), propagate(a, x))[1])
    encoder = with_options(2, propagate_layers=2)
    z = encoder(double_norm(graph))
    assert len(passes) == 4  # two layers, two directions
    assert len(z.layers[2]) == 2
    assert len(passes) == 4


def test_a_view_is_indexed_once_however_often_it_is_seen(graph, monkeypatch):
    built, transpose = [], CSR.t
    monkeypatch.setattr(CSR, "t", lambda csr: (built.append(1), transpose(csr))[1])
    encoder, views = with_options(), [double_norm(graph), double(cases.toy_graph())]
    for _ in range(3):
        for view in views:
            encoder(view)
        encoder([views[0], views[1]])
    assert len(built) == 2


def test_other_tables_are_propagated_with_the_same_noise(graph):
    encoder, graph = with_options(noise=0.2), double_norm(graph)
    user, item = torch.randn(NUM_USERS, 3).double(), torch.randn(NUM_ITEMS, 3).double()
    z = encoder.propagate(user, item, graph)
    clean = encoder.propagate(user, item, graph, perturb=False)
    lengths = (z.layers[1][0] - clean.layers[1][0])[:-1].norm(dim=1)
    torch.testing.assert_close(lengths, torch.full_like(lengths, 0.2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first_layer": 3}, r"first_layer must be from 0 to num_layers=2 \(got 3\)"),
        ({"first_layer": -1}, r"first_layer must be .* \(got -1\)"),
        ({"alpha": (0.0, 0.0, 0.0)}, "alpha must have a nonzero weight"),
        ({"message_drop": 1.0}, r"message_drop must be in \[0, 1\) \(got 1\.0\)"),
        ({"message_drop": -0.1}, r"message_drop must be in \[0, 1\) \(got -0\.1\)"),
        ({"noise": -1.0}, r"eps must not be negative \(got -1\.0\)"),
    ],
)
def test_impossible_perturbations(options, message):
    with pytest.raises(ValueError, match=message):
        LightGCN(3, 4, **options)


def rows(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(50, 6, generator=generator, dtype=torch.float64).to(dtype)


def test_is_the_naive_formula():
    x = rows()
    torch.manual_seed(1)
    found = UniformNoise(0.3)(x)
    torch.manual_seed(1)
    draw = torch.rand(50, 6, dtype=torch.float64)
    torch.testing.assert_close(found, reference.noisy(x, 0.3, draw))


@pytest.mark.parametrize("eps", [0.1, 1.0])
def test_every_row_moves_by_eps_and_no_entry_changes_its_sign(eps):
    x = rows()
    moved = UniformNoise(eps)(x)
    lengths = (moved - x).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full_like(lengths, eps))
    assert torch.equal(moved.sign(), x.sign())
    assert (moved.abs() >= x.abs()).all()


def test_a_zero_stays_a_zero():
    x = rows()
    x[0], x[1, 2] = 0.0, 0.0
    moved = UniformNoise(0.5)(x)
    assert not moved[0].any()
    assert moved[1, 2] == 0


def test_noise_is_a_constant_and_the_input_is_left_alone():
    x = rows().requires_grad_()
    before = x.detach().clone()
    UniformNoise(0.5)(x).square().sum().backward()
    torch.manual_seed(2)
    y = UniformNoise(0.5)(x)
    (grad,) = torch.autograd.grad(y, x, torch.ones_like(y))
    assert torch.equal(grad, torch.ones_like(x))
    assert torch.equal(x.detach(), before)


def test_no_noise_and_half_precision():
    x = rows()
    assert torch.equal(UniformNoise(0.0)(x), x)
    assert UniformNoise(0.5)(rows(torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize("eps", [-0.1, float("nan"), float("inf")])
def test_an_impossible_length(eps):
    with pytest.raises(ValueError, match=rf"eps must not be negative \(got {eps}\)"):
        UniformNoise(eps)
