"""What SGL, NCL, SimGCL, XSimGCL, LightGCL and DCL are made of."""

import pytest
import torch

from pyg_advinfonce.build import assemble, build_method
from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.objective import Step
from pyg_advinfonce.registry import MODELS
from tests.cases import find, toy_batch
from tests.test_experiment import dataset  # noqa: F401


def build(model, graph, loss=None, /, **sections):
    layers = [{"train": {"batch_size": 8}, "model": {"dim": 6}}, sections]
    return build_method(Config.resolve(model, loss, "none", layers=layers), graph)


@pytest.mark.parametrize("model", ["sgl", "ncl", "simgcl", "xsimgcl", "lightgcl"])
def test_bpr_is_the_default_and_info_nce_and_adv_are_taken(model):
    assert list(MODELS[model].losses) == ["bpr", "infonce", "adv"]


def test_dcl_has_a_loss_of_its_own():
    assert list(MODELS["dcl"].losses) == ["dcl"]
    with pytest.raises(ConfigError, match="'dcl' does not accept the loss 'bpr'"):
        Config.resolve("dcl", "bpr")


def test_a_layer_is_not_contrasted_with_itself(graph):
    said = r"num_layers must exceed layer .* \(got num_layers 1, layer 1\)"
    with pytest.raises(ConfigError, match=said):
        build("xsimgcl", graph, model={"num_layers": 1})
    with pytest.raises(ConfigError, match=said.replace("1", "2")):
        build("xsimgcl", graph, model={"layer": 2, "first_layer": 2})
    build("xsimgcl", graph, model={"layer": 2})
    build("xsimgcl", graph, model={"num_layers": 1, "alpha": [0.5, 0.5]})


@pytest.mark.parametrize(
    ("model", "encoder", "weights"),
    [
        ("sgl", (3, 0, 0.0, 0.0), {"l2": 1e-4, "views": 0.1}),
        (
            "ncl",
            (3, 0, 0.0, 0.0),
            {"l2": 1e-4, "neighbors": 1e-7, "prototypes": 8e-8},
        ),
        ("simgcl", (2, 1, 0.1, 0.0), {"l2": 1e-5, "passes": 0.5}),
        ("xsimgcl", (2, 1, 0.2, 0.0), {"l2": 1e-5, "layers": 0.2}),
        ("lightgcl", (2, 0, 0.0, 0.0), {"l2": 2e-5, "svd": 0.01}),
        ("dcl", (2, 0, 0.0, 0.1), {"l2": 1e-5, "passes": 0.1}),
    ],
)
def test_defaults(graph, model, encoder, weights):
    method = build(model, graph)
    found, alpha = method.encoder, method.encoder.alpha
    noise = found.noise.eps if found.noise else 0.0
    first = next(k for k, weight in enumerate(alpha) if weight)
    assert (len(found.convs), first, noise, found.message_drop) == encoder
    assert method.objective.weights == {"rec": 1.0, **weights}
    assert [phase.name for phase in method.phases] == ["main"]


def test_every_default_of_the_encoder_can_be_changed(graph):
    options = {"noise": 0.3, "first_layer": 0, "num_layers": 1, "message_drop": 0.2}
    for model in ("sgl", "simgcl", "xsimgcl", "dcl"):
        encoder = build(model, graph, model=options).encoder
        assert (encoder.noise.eps, encoder.message_drop) == (0.3, 0.2)
        assert encoder.alpha == (0.5, 0.5)


@pytest.mark.parametrize(("num_layers", "layer", "depth"), [(1, 4, 4), (3, 2, 3)])
def test_ncl_propagates_as_far_as_it_looks_and_averages_its_layers(
    graph, num_layers, layer, depth
):
    encoder = {"num_layers": num_layers}
    method = build("ncl", graph, model={**encoder, "layer": layer})
    plain = build("lightgcn", graph, "bpr", model=encoder)
    assert len(method.encoder.convs) == depth
    assert method.encoder.alpha == plain.encoder.alpha
    for a, b in zip(method.embed(graph), plain.embed(graph), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("model", "passes"),
    [
        ("sgl", 3),
        ("ncl", 1),
        ("simgcl", 3),
        ("xsimgcl", 1),
        ("lightgcl", 1),
        ("dcl", 2),
    ],
)
def test_passes_a_step(graph, model, passes):
    method = build(model, graph)
    seen = []
    method.objective.on_epoch_start(method.encoder, graph, 0)
    method.encoder.register_forward_hook(lambda *_: seen.append(1))
    method.train()
    method.objective(Step(method.encoder, graph, toy_batch(), 0, 0))
    assert len(seen) == passes


def test_an_adversary_sees_simgcl_s_constant_embeddings(graph):
    method = find("adv").method("simgcl", graph)
    adversary = method.phases[0]
    with torch.no_grad():
        given = method.encoder(graph, perturb=False)
    seen = []
    method.encoder.register_forward_hook(lambda *_: seen.append(1))
    step = Step(method.encoder, graph, toy_batch(), 0, 0, given)
    loss = adversary.objective(step)["rec"]
    assert seen == []
    z = method.loss(given.user, given.item, step.batch)
    torch.testing.assert_close(loss, z)


def test_simgcl_ranks_by_the_clean_pass_and_xsimgcl_by_the_noisy_one(graph):
    for model, is_clean in (("simgcl", True), ("xsimgcl", False)):
        method = build(model, graph).train()
        step = Step(method.encoder, graph, toy_batch(), 0, 0)
        loss = method.objective(step)["rec"]
        z = step.clean if is_clean else step.embeddings
        expected = method.loss(z.user, z.item, step.batch)
        assert torch.equal(loss, expected)
        assert not torch.equal(step.clean.user, step.embeddings.user)


@pytest.mark.parametrize(
    ("model", "sections", "said"),
    [
        ("sgl", {"model": {"drop": 1.0}}, r"^model\.drop must be in \[0, 1\)"),
        ("sgl", {"model": {"tau": 0.0}}, r"^model\.tau must be positive"),
        ("sgl", {"model": {"augmentation": "all"}}, r"^model\.augmentation: "),
        ("sgl", {"model": {"l2": 0.1}}, r"^unknown key 'model\.l2'"),
        ("ncl", {"model": {"layer": 0}}, r"^model\.layer must be positive"),
        ("ncl", {"model": {"first_epoch": -1}}, r"^model\.first_epoch must not"),
        ("xsimgcl", {"model": {"noise": -1.0}}, r"^model.*must not be negative"),
        ("simgcl", {"model": {"num_layers": 0}}, r"^model\.first_layer must be"),
        ("lightgcl", {"model": {"rank": 0}}, r"^model\.rank must be positive"),
        ("lightgcl", {"model": {"num_layers": 0}}, r"^model\.num_layers must be pos"),
        ("lightgcl", {"model": {"first_layer": 3}}, r"^model\.first_layer must be fr"),
        ("dcl", {"model": {"message_drop": 1.0}}, r"^model\.message_drop must be"),
        ("dcl", {"loss": {"prior": 1.0}}, r"^loss\.prior must be in"),
    ],
)
def test_a_wrong_option_is_named(dataset, model, sections, said):  # noqa: F811
    layers = [{"train": {"batch_size": 8}}, sections]
    config = Config.resolve(model, None, "none", layers=layers)
    with pytest.raises(ConfigError, match=said):
        assemble(config, dataset)
