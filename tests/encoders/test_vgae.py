import copy
import math

import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import VGAE
from pyg_advinfonce.errors import GraphError
from pyg_advinfonce.graph import INTERACTS, ITEM, REV_INTERACTS, USER, build_graph
from tests import cases, reference
from tests.cases import DIM, NUM_ITEMS, NUM_USERS, TRAIN, pairs


@pytest.fixture(autouse=True)
def _double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def vgae(**options):
    torch.manual_seed(0)
    return VGAE(NUM_USERS, NUM_ITEMS, DIM, **options)


def joint(z, name=None):
    if name is None:
        return torch.cat([z.user, z.item])
    return torch.cat([z.aux[f"{name}_user"], z.aux[f"{name}_item"]])


def table_of(encoder):
    return torch.cat([encoder.user, encoder.item])


@pytest.mark.parametrize("activation", ["relu", "none"])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("offset", [-2.0, 9.9])
def test_mean_and_spread_are_those_of_the_naive_formula(
    graph, activation, residual, offset
):
    encoder = vgae(activation=activation, residual=residual, logstd_offset=offset)
    with torch.no_grad():
        encoder.user.mul_(5)
    mu, logstd = reference.vgae(
        reference.normalized_adjacency(pairs(*TRAIN), NUM_USERS, NUM_ITEMS),
        table_of(encoder),
        encoder.mu.weight.t(),
        encoder.logstd.weight.t(),
        offset,
        relu=activation == "relu",
        residual=residual,
    )
    assert (logstd == 10).any() == (offset > 0)
    z = encoder(graph, perturb=False)
    for found, expected in ((joint(z, "mu"), mu), (joint(z, "logstd"), logstd)):
        torch.testing.assert_close(found, expected)


def test_training_draws_and_evaluation_gives_the_mean(graph):
    encoder = vgae()
    drawn, again = encoder(graph), encoder(graph)
    assert not torch.equal(drawn.user, again.user)
    assert not torch.equal(drawn.item, again.item)
    mean = joint(drawn, "mu")
    assert torch.equal(joint(encoder(graph, perturb=False)), mean)
    encoder.eval()
    assert torch.equal(joint(encoder(graph)), mean)
    assert not torch.equal(joint(encoder(graph, perturb=True)), mean)


def test_what_is_drawn_has_the_mean_and_the_spread(graph):
    encoder = vgae()
    with torch.no_grad():
        draws = torch.stack([joint(encoder(graph)) for _ in range(4000)])
        z = encoder(graph)
        gap = (draws.mean(0) - joint(z, "mu")) / (joint(z, "logstd").exp() / 4000**0.5)
        assert gap.abs().max() < 5
        ratio = draws.std(0) / joint(z, "logstd").exp()
    torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0.08, atol=0)


def test_without_spread_it_is_the_deterministic_encoder(graph):
    encoder = vgae(logstd_offset=-60.0)
    expected = joint(encoder(graph, perturb=False))
    torch.testing.assert_close(joint(encoder(graph)), expected, rtol=0, atol=1e-20)


def test_gradients_reach_all_weights_and_the_spread_through_what_is_drawn(graph):
    encoder = vgae()
    joint(encoder(graph)).square().sum().backward()
    for p in encoder.parameters():
        assert p.grad.isfinite().all()
        assert p.grad.any()


def test_layer_0_is_the_table(graph):
    encoder = vgae()
    z = encoder(graph)
    assert len(z.layers) == 1
    assert z.layers[0][0] is encoder.user
    assert z.layers[0][1] is encoder.item


def test_isolated_nodes_have_mean_zero(graph):
    z = vgae()(graph, perturb=False)
    assert not z.user[-1].any()
    assert not z.item[-1].any()
    assert z.user[:-1].any(1).all()


def test_both_directions_are_used(graph):
    """A user's mean depends on users that share an item, and on no others."""
    encoder = vgae(activation="none")
    encoder(graph, perturb=False).user[2].sum().backward()
    near = {u for u, i in TRAIN if i in {i for u, i in TRAIN if u == 2}}
    moved = encoder.user.grad.any(1).nonzero().view(-1).tolist()
    assert set(moved) == near
    assert encoder.item.grad is None


def test_a_list_has_one_graph_a_layer(graph):
    encoder = vgae().eval()
    assert torch.equal(joint(encoder([graph, graph])), joint(encoder(graph)))
    part = build_graph(pairs(*TRAIN[:9]), num_users=NUM_USERS, num_items=NUM_ITEMS)
    part = cases.BipartiteNorm()(part)
    assert not torch.allclose(joint(encoder([graph, part])), joint(encoder(graph)))
    with pytest.raises(ValueError, match=r"one graph per layer, 2 in all \(got 1\)"):
        encoder([graph])


def test_a_graph_of_one_direction_is_refused(graph):
    del graph[REV_INTERACTS]
    with pytest.raises(GraphError, match="both directions"):
        vgae()(graph)


def test_a_sampled_graph_reads_the_rows_of_its_nodes(graph):
    """All users in another order, as a loader may return them."""
    encoder = vgae().eval()
    expected = encoder(graph)
    users = torch.randperm(NUM_USERS)
    local = HeteroData()
    local[USER].n_id, local[ITEM].n_id = users, torch.arange(NUM_ITEMS)
    user, item = graph[INTERACTS].edge_index
    edges, weight = torch.stack([users.argsort()[user], item]), graph[INTERACTS]
    local[INTERACTS].edge_index = edges
    local[REV_INTERACTS].edge_index = edges.flip(0)
    for edge_type in (INTERACTS, REV_INTERACTS):
        local[edge_type].edge_weight = weight.edge_weight.clone()
    z = encoder(local)
    torch.testing.assert_close(z.user, expected.user[users])
    torch.testing.assert_close(z.item, expected.item)


def test_a_copy_and_a_state_dict_hold_the_weights_alone(graph):
    encoder = vgae().eval()
    expected = joint(encoder(graph))
    assert torch.equal(joint(copy.deepcopy(encoder)(graph)), expected)
    names = ["user", "item", "mu.weight", "logstd.weight"]
    assert list(encoder.state_dict()) == names


def test_weights_start_by_xaviers_normal_rule_and_the_noise_is_small(graph):
    torch.manual_seed(0)
    encoder = VGAE(2000, 500, dim=64)
    for weight in (encoder.user, encoder.item, encoder.mu.weight):
        expected = math.sqrt(2 / sum(weight.shape))
        assert weight.std().item() == pytest.approx(expected, rel=0.05)
    spread = joint(vgae()(graph), "logstd").exp()
    assert spread.mean().item() == pytest.approx(0.135, rel=0.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 0}, r"^dim must be positive \(got 0\)"),
        ({"activation": "tanh"}, r"^activation must be 'relu' or 'none' \(got 'tanh'"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        VGAE(3, 4, **options)
