import pytest
import torch

from pyg_advinfonce.build import build_method
from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.graph import INTERACTS, REV_INTERACTS, split_edges, train_degrees
from pyg_advinfonce.registry import MODELS
from pyg_advinfonce.serving import fold_in
from tests import cases
from tests.serving.tastes import Tastes

SENDING = ["lightgcn", "sgl", "ncl", "simgcl", "xsimgcl", "lightgcl", "dcl", "vgae"]
SILENT = ["mf", "ultragcn", "autocf"]
SOLVING = ["ials"]
SCORING = ["popularity", "itemknn", "ease"]


def build(model, graph, *, zero_row=None, **encoder):
    """Build an untrained method, and the weights of the graph, in double precision."""
    loss = next(iter(MODELS[model].losses))
    layers = [{"model": {"dim": 4, **encoder}}]
    if model == "ncl":
        layers.append({"model": {"num_prototypes": 2}})
    method = build_method(Config.resolve(model, loss, "none", layers=layers), graph)
    if zero_row is not None:
        with torch.no_grad():
            method.encoder.user[zero_row] = 0
    user, item = split_edges(graph, "train")
    of_user, of_item = (degree.double() for degree in train_degrees(graph))
    weight = (of_user[user] * of_item[item]).rsqrt()
    graph[INTERACTS].edge_weight = graph[REV_INTERACTS].edge_weight = weight
    return method.double()


def test_every_model_is_one_or_the_other():
    assert sorted(SENDING + SILENT + SOLVING + SCORING) == sorted(MODELS)


def check_the_row_of_a_user(method, graph, user):
    pairs = split_edges(graph, "train")
    mine = pairs[:, pairs[0] == user] * torch.tensor([[0], [1]])
    found, expected = fold_in(method, graph, mine), method.embed(graph)[0][[user]]
    assert found.abs().sum() > 0
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("user", [0, 3])
@pytest.mark.parametrize("model", SENDING)
def test_a_trained_user_whose_own_row_is_zero_has_the_encoder_s_row(model, user, graph):
    """Exactly: whoever has the items of such a user gets the row of that user."""
    method = build(model, graph, zero_row=user)
    check_the_row_of_a_user(method, graph, user)


@pytest.mark.parametrize(
    "encoder",
    [
        {"num_layers": 1},
        {"num_layers": 3},
        {"num_layers": 2, "first_layer": 1},
        {"num_layers": 2, "alpha": [0.5, 0.0, 0.5]},
        {"num_layers": 2, "noise": 0.1},
    ],
)
def test_the_same_for_any_layers(graph, encoder):
    method = build("lightgcn", graph, zero_row=3, **encoder)
    check_the_row_of_a_user(method, graph, 3)


@pytest.mark.parametrize("model", SOLVING)
def test_a_model_that_solves_gives_what_the_next_epoch_solves_for(model, graph):
    method = build(model, graph, l2=0.5)
    method.encoder.fit(graph)
    pairs = split_edges(graph, "train")
    users, new = pairs[0].unique(return_inverse=True)
    found = fold_in(method, graph, torch.stack([new, pairs[1]]))
    method.encoder.fit(graph)
    torch.testing.assert_close(
        found, method.encoder.user[users], rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize("model", SILENT)
def test_without_messages_it_is_the_centred_mean_of_the_items(model, graph):
    method = build(model, graph)
    _, z_item = method.embed(graph)
    pairs = torch.tensor([[0, 1, 1, 1], [4, 2, 0, 5]])
    lists = [z_item[[4]], z_item[[2, 0, 5]]]
    expected = torch.stack([rows.mean(0) - z_item.mean(0) for rows in lists])
    if method.cosine:
        expected = expected / expected.norm(dim=1, keepdim=True)
    torch.testing.assert_close(fold_in(method, graph, pairs), expected)


@pytest.mark.parametrize("model", ["mf", "lightgcn"])
def test_order_and_repetition_do_not_matter(model, graph):
    method = build(model, graph)
    once = fold_in(method, graph, torch.tensor([[0, 0, 1], [4, 2, 0]]))
    again = torch.tensor([[1, 0, 0, 1, 0], [0, 2, 4, 0, 2]])
    torch.testing.assert_close(fold_in(method, graph, again), once)


@pytest.mark.parametrize("model", ["mf", "lightgcn"])
def test_items_that_nobody_has_do_not_count(model, graph):
    method, isolated = build(model, graph), cases.NUM_ITEMS - 1
    found = fold_in(method, graph, torch.tensor([[0, 0], [4, isolated]]))
    alone = fold_in(method, graph, torch.tensor([[0], [4]]))
    torch.testing.assert_close(found, alone)


@pytest.mark.parametrize(
    ("pairs", "num_users", "error", "said"),
    [
        ([[0], [11]], 1, ConfigError, "new user 0 has no item with a train pair"),
        ([[0], [1]], 2, ConfigError, "new user 1 has no item with a train pair"),
        (
            [[0], [12]],
            1,
            ValueError,
            r"items\[1\] must be in \[0, 11\] \(got 12 ",
        ),
        ([[0], [-1]], 1, ValueError, r"items\[1\] must be in \[0, 11\] \(got -1 "),
        ([[2], [1]], 2, ValueError, r"items\[0\] must be in \[0, 1\] \(got 2 to 2"),
        ([[], []], 2, ConfigError, "new user 0 has no item with a train pair"),
        (
            [[], []],
            None,
            ValueError,
            r"items must be \[2, P\], .* \(got \(2, 0\)\)",
        ),
        ([0, 1], 2, ValueError, r"items must be \[2, P\], .* \(got \(2,\)\)"),
    ],
)
def test_what_cannot_be_folded_in(graph, pairs, num_users, error, said):
    method = build("lightgcn", graph)
    with pytest.raises(error, match=said):
        fold_in(method, graph, torch.tensor(pairs), num_users=num_users)


@pytest.mark.parametrize("model", ["mf", "lightgcn"])
def test_what_ranks_by_scores_cannot_be_folded_in(model, graph):
    method = build(model, graph)
    method.encoder.scores = lambda user: user  # it sends messages nevertheless
    with pytest.raises(ConfigError, match="ranks by scores: use another"):
        fold_in(method, graph, torch.tensor([[0], [2]]))


@pytest.mark.parametrize("model", ["mf", "lightgcn"])
def test_new_users_are_served_almost_as_well_as_trained_ones(model):
    """Against retraining: a fifth of the users is held out and then folded in."""
    tastes = Tastes(seed=0)
    trained = tastes.recall_of_trained(model)
    folded = tastes.recall_of_folded_in(model)
    assert trained > 0.5
    assert folded > 0.9 * trained
    assert folded > 3 * tastes.recall_of_popularity()
