import os

import pytest
import torch

from pyg_advinfonce.build import assemble
from pyg_advinfonce.config import Config
from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.errors import ConfigError, MissingExtraError
from pyg_advinfonce.experiment import train
from pyg_advinfonce.graph import INTERACTS, REV_INTERACTS, split_names
from pyg_advinfonce.loader import EdgeSampler, NeighborEdgeSampler
from pyg_advinfonce.objective import Step
from pyg_advinfonce.registry import MODELS
from tests import cases
from tests.adjacency_forms import FORMS, stored_as
from tests.cases import DIM, NUM_ITEMS, NUM_USERS

pytestmark = pytest.mark.pyg_lib
ALL = (-1, -1)


def sampler_of(graph, num_neighbors=ALL, **options):
    options = {"batch_size": 4, "num_negatives": 3, **options}
    return NeighborEdgeSampler(graph, num_neighbors, **options)


def epoch_of(sampler, seed=0):
    torch.manual_seed(seed)
    return list(sampler)


@pytest.mark.parametrize("num_neighbors", [ALL, (1, 2), (3,)])
@pytest.mark.parametrize("sampling", ["user", "interaction"])
def test_batches_are_known_pairs_with_unseen_items(graph, num_neighbors, sampling):
    known = cases.train_pairs(graph)
    sampler = sampler_of(graph, num_neighbors, sampling=sampling)
    batches = epoch_of(sampler)
    assert len(batches) == len(sampler) == len(EdgeSampler(graph, batch_size=4))
    for sample, batch in batches:
        assert batch.dst_neg_index.shape == (4, 3)
        for user, pos, row in zip(
            batch.user_id.tolist(), batch.pos_id.tolist(), batch.neg_id, strict=True
        ):
            assert pos in known[user]
            assert not known[user] & set(row.tolist())
        assert split_names(sample) == []


def test_sampled_edges_are_edges_of_the_graph(graph):
    known = {tuple(pair) for pair in graph[INTERACTS].edge_index.t().tolist()}
    for sample, _ in epoch_of(sampler_of(graph, (2, 1))):
        user, item = sample[INTERACTS].edge_index
        pairs = sample["user"].n_id[user], sample["item"].n_id[item]
        assert set(zip(*map(torch.Tensor.tolist, pairs), strict=True)) <= known


def test_an_incomplete_last_batch_may_be_kept(graph):
    sampler = sampler_of(graph, batch_size=7, drop_last=False)
    shapes = [tuple(batch.dst_neg_index.shape) for _, batch in epoch_of(sampler)]
    assert shapes == [(7, 3), (7, 3), (7, 3), (3, 3)]
    assert len(sampler) == 4


@pytest.mark.parametrize("num_negatives", [0, 1])
def test_few_negatives_keep_their_shape(graph, num_negatives):
    for _, batch in epoch_of(sampler_of(graph, num_negatives=num_negatives)):
        assert batch.dst_neg_index.shape == (4, num_negatives)


def test_the_graph_stays_as_it_is(graph):
    before = graph.to_dict()
    epoch_of(sampler_of(graph, (2, 1)))
    assert graph.to_dict().keys() == before.keys()
    assert "degree" not in graph["user"]
    assert torch.equal(graph[INTERACTS].edge_weight, before[INTERACTS]["edge_weight"])


@pytest.fixture
def _double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def loss_and_gradients(method, graph, batch):
    torch.manual_seed(5)
    main = next(phase for phase in method.phases if phase.name == "main")
    parts = main.objective(Step(method.encoder, graph, batch, 0, 0))
    leaves = method.params_of(main)
    loss = torch.stack(list(parts.values())).sum()
    grads = torch.autograd.grad(loss, leaves, allow_unused=True)
    return [loss, *(torch.zeros(()) if g is None else g.to_dense() for g in grads)]


# Without noise and dropped messages, whose draws are other ones in a sample.
QUIET = {
    "xsimgcl": {"noise": 0.0},
    "simgcl": {"noise": 0.0},
    "dcl": {"message_drop": 0.0},
}
# Nor with XIR's cache, whose items are drawn from those of the sample.
SAMPLED = [
    ("lightgcn", case)
    for case in cases.CASES
    if case.model == "lightgcn" and case.loss != "xir"
]
SAMPLED += [pair for pair in cases.PAIRS if pair[0] in QUIET]


@pytest.mark.parametrize(
    ("model", "case"), SAMPLED, ids=lambda value: getattr(value, "id", value)
)
@pytest.mark.usefixtures("_double_precision")
def test_all_neighbors_give_the_loss_and_gradients_of_the_whole_graph(model, case):
    graph = cases.toy_graph()
    method = case.method(model, graph, **QUIET.get(model, {})).eval()
    for sample, batch in epoch_of(sampler_of(graph, sampling="interaction")):
        expected = loss_and_gradients(method, graph, batch.whole_graph())
        found = loss_and_gradients(method, sample, batch)
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.usefixtures("_double_precision")
def test_every_form_of_edges_is_sampled(form):
    graph, case = cases.toy_graph(), cases.find("adv")
    method = case.method("lightgcn", graph).eval()
    for sample, batch in epoch_of(sampler_of(stored_as(form, graph))):
        expected = loss_and_gradients(method, graph, batch.whole_graph())
        for a, b in zip(
            loss_and_gradients(method, sample, batch), expected, strict=True
        ):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("_double_precision")
def test_on_the_average_few_neighbors_say_what_all_do(graph):
    encoder = LightGCN(NUM_USERS, NUM_ITEMS, DIM, num_layers=1)
    whole = encoder(graph).user.detach()
    total, count = torch.zeros_like(whole), torch.zeros(NUM_USERS, 1)
    for epoch in range(60):
        # In a new order: torch-sparse draws the last neighbours of a node too rarely.
        sampler = sampler_of(stored_as("columns", graph), (2,), batch_size=24)
        for sample, batch in epoch_of(sampler, epoch):
            user = batch.src_index.unique()
            ids = sample["user"].n_id[user]
            total[ids] += encoder(sample).user.detach()[user]
            count[ids] += 1
    assert count[:-1].min() == 60
    assert (total / count - whole)[:-1].norm() < 0.08 * whole[:-1].norm()


def same(first, second):
    return all(
        torch.equal(a.user_id, b.user_id)
        and torch.equal(a.neg_id, b.neg_id)
        and torch.equal(g["item"].n_id, h["item"].n_id)
        and torch.equal(g[REV_INTERACTS].edge_index, h[REV_INTERACTS].edge_index)
        for (g, a), (h, b) in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("num_workers", [1, 2])
def test_draws_do_not_depend_on_the_number_of_workers(graph, num_workers):
    alone = epoch_of(sampler_of(graph, (2, 1)))
    state = torch.get_rng_state()
    together = epoch_of(sampler_of(graph, (2, 1), num_workers=num_workers))
    assert same(alone, together)
    assert torch.equal(torch.get_rng_state(), state)
    assert not same(alone, epoch_of(sampler_of(graph, (2, 1)), seed=1))


def test_draws_do_not_depend_on_what_the_model_draws_in_between(graph):
    expected = epoch_of(sampler_of(graph, (2, 1)))
    torch.manual_seed(0)
    found = [
        (sample, batch, torch.rand(7)) for sample, batch in sampler_of(graph, (2, 1))
    ]
    assert same(expected, [pair[:2] for pair in found])


def test_a_worker_that_dies_is_an_error(graph, monkeypatch):
    sampler = sampler_of(graph, num_workers=1)
    monkeypatch.setattr(sampler, "_draw", lambda _: os._exit(1))
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        epoch_of(sampler)


class Toy:
    graph = cases.toy_graph()
    fingerprint = "toy"


def config_of(model="lightgcn", loss="adv", **settings):
    settings = {
        "loader": "neighbor",
        "num_neighbors": [2, 1],
        "epochs": 2,
        "batch_size": 4,
        "num_negatives": 3,
        "eval_every": 2,
        **settings,
    }
    layers = [{"train": settings, "model": cases.width(model, 4)}]
    if loss == "adv":
        layers.append({"loss": {"adversary_every": 2}})
    return Config.resolve(model, loss, "toy", layers=layers)


def test_training_moves_encoder_and_adversary_and_repeats_itself():
    trainer = assemble(config_of(), Toy)
    before = [p.clone() for p in trainer.method.parameters()]
    trainer.fit()
    for a, b in zip(before, trainer.method.parameters(), strict=True):
        assert not torch.equal(a, b)
    again = train(config_of(num_workers=1), Toy)
    for a, b in zip(
        trainer.method.parameters(), again.method.parameters(), strict=True
    ):
        assert torch.equal(a, b)


def test_with_all_neighbors_the_adversary_sees_what_it_does_without_sampling():
    """Constant embeddings are the whole graph's: the batch's rows must fit them."""
    trainer = assemble(config_of(num_neighbors=[-1, -1]), Toy)
    phase, _ = trainer.phases[0]
    method = trainer.method.eval()
    constant = method.encoder(trainer.graph, perturb=False)
    for sample, batch in epoch_of(trainer.sampler):
        steps = [
            Step(method.encoder, sample, batch, 0, 0, constant),
            Step(method.encoder, sample, batch, 0, 0),
        ]
        first, second = (phase.objective(step)["rec"] for step in steps)
        torch.testing.assert_close(first, second)


REFUSED = sorted(set(MODELS) - {"lightgcn", "xsimgcl", "simgcl", "dcl"})


@pytest.mark.parametrize("model", REFUSED)
def test_a_model_that_cannot_do_with_a_sample_says_why(model):
    loss = next(iter(MODELS[model].losses))
    why = "needs the whole graph|has no message passing"
    with pytest.raises(ConfigError, match=f"'{model}' does not accept .*({why}), use"):
        assemble(config_of(model, loss), Toy)


def test_contrast_with_all_nodes_needs_the_whole_graph():
    config = config_of("xsimgcl", "bpr").updated({"model": {"candidates": "all"}})
    with pytest.raises(ConfigError, match="the term 'layers' needs the whole graph"):
        assemble(config, Toy)


def test_all_negatives_need_the_whole_graph():
    config = config_of().updated({"train": {"num_negatives": "all"}})
    with pytest.raises(ConfigError, match=r"'all' needs the embeddings of all items"):
        assemble(config, Toy)


@pytest.mark.parametrize("num_neighbors", [[2], [2, 1, 1]])
def test_a_number_is_wanted_for_each_layer(num_neighbors):
    with pytest.raises(ConfigError, match=r"must have 2 numbers, one per.*\(got \["):
        assemble(config_of(num_neighbors=num_neighbors), Toy)


def test_two_hops_have_a_default():
    config = config_of().updated({"train": {}})
    settings = config.train.model_copy(update={"num_neighbors": None})
    trainer = assemble(config.model_copy(update={"train": settings}), Toy)
    assert trainer.sampler.loader.link_sampler.num_neighbors.values == [20, 10]


def test_without_a_sampler_a_saved_configuration_trains_no_further(monkeypatch):
    config = config_of()
    monkeypatch.setattr("pyg_advinfonce.config.config.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"needs pyg-lib.*or torch-sparse"):
        assemble(config, Toy)
