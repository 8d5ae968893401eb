"""Custom models and losses in Python, from training to whatever is done with a run."""

import copy
import importlib
import sys
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from pyg_advinfonce import load_run, train
from pyg_advinfonce.build import assemble, build_method
from pyg_advinfonce.config import Config, settings
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.encoders import Embeddings, FixedEmbeddings, LightGCN
from pyg_advinfonce.errors import CheckpointError, ConfigError
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.experiment import evaluate, train_seed
from pyg_advinfonce.graph import num_nodes
from pyg_advinfonce.losses import BPR, Criterion, InfoNCE
from pyg_advinfonce.methods import Method
from pyg_advinfonce.runs import read_run
from pyg_advinfonce.runs.folder import EMBEDDINGS
from pyg_advinfonce.serving import Recommender
from pyg_advinfonce.studies import compare_runs
from pyg_advinfonce.studies.report import write_report
from pyg_advinfonce.studies.tuning import tune
from pyg_advinfonce.training import Callback, read_tensors, write_tensors
from tests.custom_models import (
    FromGraph,
    Hardened,
    Hinge,
    Layered,
    Own,
    Plain,
    Popular,
    Sage,
    build,
    compose,
)
from tests.scorers import Popularity

NAME = "tests.custom_models"
EMBEDDING = [Plain, Sage, Layered, Own, FromGraph, build, compose]
MODELS = [*EMBEDDING, Popular]
LOSSES = [Hinge, Hardened]
SMALL = {"train": {"batch_size": 64, "epochs": 4, "eval_every": 2, "num_negatives": 3}}


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("simulated")


def configure(model="mf", loss=None, /, **sections):
    return Config.resolve(model, loss, layers=[SMALL, sections])


def instance(kind, graph):
    """Make a model of a class or function, outside of training."""
    torch.manual_seed(5)
    return getattr(kind, "from_graph", kind)(graph)


class Stop(Callback):
    """Interrupts training at an epoch's end."""

    def on_epoch_end(self, trainer, record):
        if record.epoch == 2:
            raise KeyboardInterrupt


def interrupt(config, dataset, out, **custom):
    with pytest.raises(KeyboardInterrupt):
        train(config, dataset, out=out, callbacks=[Stop()], save_every=1, **custom)


def assert_same_weights(found, expected):
    a, b = found.method.state_dict(), expected.method.state_dict()
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("model", MODELS)
def test_a_custom_model_trains_as_its_seed_says(model, dataset):
    first, second = (train(configure(), dataset, model=model) for _ in range(2))
    assert first.metrics == second.metrics
    assert_same_weights(first, second)
    assert first.config.model.name == f"{NAME}:{model.__name__}"
    assert first.config.loss.name == ("none" if model is Popular else "adv")
    other = train(configure(train={"seed": 1}), dataset, model=model)
    assert (other.metrics == first.metrics) == (model is Popular)


@pytest.mark.parametrize("model", [Plain, Sage, Layered, Own, FromGraph])
def test_a_module_is_trained_in_place(model, dataset):
    module = instance(model, dataset.graph)
    before = copy.deepcopy(module)
    result = train(configure(), dataset, model=module)
    held = {id(p) for p in result.method.parameters()}
    assert {id(p) for p in module.parameters()} <= held
    assert result.config.model.name == f"{NAME}:{model.__name__}"
    again = train(configure(), dataset, model=before)
    assert_same_weights(again, result)


def test_a_plain_model_is_trained_as_the_library_s_own(dataset):
    """The tables of LightGCN without layers, once as a module of somebody else's."""
    torch.manual_seed(1)
    own = LightGCN(*num_nodes(dataset.graph), dim=8, num_layers=0)
    plain = FromGraph(*num_nodes(dataset.graph), dim=8)
    plain.user.weight.data.copy_(own.user)
    plain.item.weight.data.copy_(own.item)
    found, expected = (
        train(configure(), dataset, model=m, loss=InfoNCE()) for m in (plain, own)
    )
    assert found.metrics == expected.metrics
    assert torch.equal(plain.user.weight, own.user)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("model", EMBEDDING)
def test_model_and_loss_may_both_be_custom(model, loss, dataset):
    result = train(configure(), dataset, model=model, loss=loss)
    assert result.config.pair == f"{NAME}:{model.__name__} + {NAME}:{loss.__name__}"
    assert isinstance(result.method.loss, loss)
    assert result.method.cosine == loss.cosine


@pytest.mark.parametrize("model", ["mf", "lightgcn", "ultragcn", "sgl", "dcl"])
def test_a_custom_loss_goes_with_any_model(model, dataset):
    config = Config.resolve(model, layers=[SMALL])
    result = train(config, dataset, loss=Hinge)
    assert isinstance(result.method.loss, Hinge)
    assert result.config.loss.name == f"{NAME}:Hinge"


def test_options_are_keys_of_the_sections(dataset):
    sections = {"model": {"dim": 5}, "loss": {"hard_lr": 0.5}}
    sections["hardness"] = {"kind": "embedding", "dim": 3}
    config = configure(f"{NAME}:build", f"{NAME}:Hardened", **sections)
    result = train(config, dataset, model=build, loss=Hardened)
    assert result.config == config
    assert result.method.embed(result.graph)[0].size(1) == 5
    assert result.method.loss.hard_lr == 0.5
    assert result.method.loss.hardness.user.size(1) == 3
    assert [phase.name for phase in result.method.phases] == ["main", "up"]
    assert "up" in result.history[0].phases


def test_the_learning_rate_is_that_of_the_section_train(dataset):
    for model in (Plain, compose):
        trainer = assemble(
            configure("mf", "bpr", train={"lr": 0.25}), dataset, model=model
        )
        assert trainer.phases[0][1].defaults["lr"] == 0.25


def test_tables_of_the_loss_are_as_wide_as_the_custom_model(dataset):
    """The MLP over embeddings needs their width."""
    config = configure(f"{NAME}:build", "adv-mlp")
    assert train(config, dataset, model=build).metrics
    config = configure(f"{NAME}:build", "bc", model={"dim": 6})
    method = build_method(config, dataset.graph, model=build)
    assert method.loss.user.size(1) == 6


def test_a_partial_is_a_builder(dataset):
    result = train(configure(), dataset, model=partial(build, dim=3))
    assert result.config.model.name == f"{NAME}:build"
    assert result.method.embed(result.graph)[0].size(1) == 3


def test_a_module_s_attribute_func_is_not_its_name(dataset):
    module = Plain(dataset.graph)
    module.func = torch.relu
    assert train(configure(), dataset, model=module).config.model.name.endswith("Plain")


def test_a_finished_method_brings_its_loss(dataset):
    method = compose(dataset.graph, Hinge(), dim=4)
    result = train(configure(), dataset, model=method)
    assert result.method is method
    assert result.config.custom == ["model", "loss"]
    assert result.config.loss.name == f"{NAME}:Hinge"


def test_a_builder_without_an_argument_for_it_returns_no_loss(dataset):
    def alone(graph):
        return compose(graph, Hinge())

    with pytest.raises(ConfigError, match="with a loss: give it an argument 'loss'"):
        train(configure(), dataset, model=alone)


@pytest.mark.parametrize("loss", [BPR, Hinge])
@pytest.mark.parametrize("model", EMBEDDING)
def test_an_interrupted_training_goes_on_bit_by_bit(model, loss, dataset, tmp_path):
    custom = {"model": model, "loss": loss}
    whole = train(configure(), dataset, out=tmp_path / "whole", **custom)
    interrupt(configure(), dataset, tmp_path / "run", **custom)
    found = train(configure(), dataset, out=tmp_path / "run", resume=True, **custom)
    assert_same_weights(found, whole)
    assert found.metrics == whole.metrics
    assert [r.losses for r in found.history] == [r.losses for r in whole.history]


def test_an_instance_goes_on_in_a_new_one(dataset, tmp_path):
    whole = train(configure(), dataset, model=instance(Plain, dataset.graph))
    interrupt(configure(), dataset, tmp_path, model=instance(Plain, dataset.graph))
    fresh = Plain(dataset.graph)  # other numbers, which the state replaces
    found = train(configure(), dataset, out=tmp_path, model=fresh, resume=True)
    assert_same_weights(found, whole)


def test_another_model_or_loss_does_not_go_on(dataset, tmp_path):
    interrupt(configure(), dataset, tmp_path, model=Plain, loss=Hinge)
    for custom, said in [
        ({"model": Own, "loss": Hinge}, "model.name .*:Plain -> .*:Own"),
        ({"model": Plain, "loss": Hardened}, "loss.name .*:Hinge -> .*:Hardened"),
        ({"model": Plain}, "loss.name .*:Hinge -> adv"),
        ({}, "model.name .*:Plain -> mf"),
    ]:
        with pytest.raises(CheckpointError, match=said):
            train(configure(), dataset, out=tmp_path, resume=True, **custom)


@pytest.mark.parametrize("loss", [BPR, Hinge, Hardened])
@pytest.mark.parametrize("model", EMBEDDING)
def test_a_run_ranks_without_its_code_as_with_it(model, loss, dataset, tmp_path):
    custom = {"model": model, "loss": loss}
    result = train(configure(), dataset, out=tmp_path, **custom)
    saved, built = load_run(tmp_path), load_run(tmp_path, **custom)
    assert isinstance(saved.method.encoder, FixedEmbeddings)
    assert not list(saved.method.parameters())
    assert_same_weights(built, result)
    new = {"x": result.recommend(k=3)["item"].tolist()}
    for run in (saved, built):
        assert run.config == result.config
        found = evaluate(run.method, run.graph, Evaluator(run.graph))
        assert found == run.metrics == result.metrics
        assert run.recommend(k=5).equals(result.recommend(k=5))
        lists = [
            Recommender(r.method, r.graph).recommend_new(new) for r in (run, result)
        ]
        assert lists[0].equals(lists[1])
        tables = [
            np.load(r.export(tmp_path / f"{i}.npz"))
            for i, r in enumerate((run, result))
        ]
        assert tables[0].files == tables[1].files
        for name in tables[0].files:
            assert np.array_equal(tables[0][name], tables[1][name]), name


def test_what_a_model_s_items_send_to_new_users_is_saved(dataset, tmp_path):
    result = train(configure(), dataset, model=Layered, out=tmp_path)
    tensors, _ = read_tensors(tmp_path / EMBEDDINGS)
    assert torch.equal(tensors["messages"], 2 * tensors["item"])
    assert torch.equal(tensors["user"], result.method.encode(result.graph).user)


def test_a_library_s_model_with_a_custom_loss_ranks_without_it(dataset, tmp_path):
    config = configure("lightgcn")
    result = train(config, dataset, loss=Hinge(margin=0.1), out=tmp_path)
    new = {"x": result.recommend(k=3)["item"].tolist()}
    for run in (load_run(tmp_path), load_run(tmp_path, loss=Hinge(margin=0.1))):
        assert evaluate(run.method, run.graph, Evaluator(run.graph)) == result.metrics
        lists = [
            Recommender(r.method, r.graph).recommend_new(new) for r in (run, result)
        ]
        assert lists[0].equals(lists[1])


def test_a_run_of_the_library_s_own_holds_no_embeddings(dataset, tmp_path):
    train(configure(), dataset, out=tmp_path)
    assert not (tmp_path / EMBEDDINGS).exists()


def test_embeddings_of_an_earlier_training_do_not_stay(dataset, tmp_path):
    train(configure(), dataset, out=tmp_path, model=Plain)
    train(configure(), dataset, out=tmp_path)
    assert not (tmp_path / EMBEDDINGS).exists()


def test_embeddings_may_lie_in_memory_as_they_like(dataset, tmp_path):
    class Turned(FromGraph):
        def forward(self, graph):
            user, item = super().forward(graph)
            return user.t().contiguous().t(), item[:, :1].expand(-1, 8)

    result = train(configure(), dataset, model=Turned, out=tmp_path)
    run = load_run(tmp_path)
    assert evaluate(run.method, run.graph, Evaluator(run.graph)) == result.metrics


def test_a_model_of_scores_is_loaded_with_its_code_alone(dataset, tmp_path):
    result = train(configure(), dataset, model=Popular, out=tmp_path)
    with pytest.raises(CheckpointError, match="pass the custom model again"):
        load_run(tmp_path)
    run = load_run(tmp_path, model=Popular)
    assert evaluate(run.method, run.graph, Evaluator(run.graph)) == result.metrics
    assert run.recommend(k=5).equals(result.recommend(k=5))
    with pytest.raises(ConfigError, match="ranks by scores: use another"):
        run.export(tmp_path / "x.npz")
    recommender = Recommender(run.method, run.graph)
    with pytest.raises(ConfigError, match="export, new users"):
        recommender.recommend_new({"x": result.recommend(k=1)["item"].tolist()})


def test_an_encoder_of_scores_has_nothing_to_train_either(dataset, tmp_path):
    config = configure()
    encoder = train(config, dataset, model=Popularity)
    module = train(config, dataset, model=Popular(dataset.graph), out=tmp_path)
    assert encoder.config.loss.name == module.config.loss.name == "none"
    assert encoder.metrics == module.metrics


def test_embeddings_that_are_given_need_no_training(dataset):
    tables = [torch.randn(n, 4) for n in num_nodes(dataset.graph)]
    config = configure("torch:given", "none")
    result = train(config, dataset, model=FixedEmbeddings(*tables))
    assert (len(result.history), result.best_epoch) == (1, 0)
    with pytest.raises(ConfigError, match="phase 'main' has no parameter to train"):
        train(configure(), dataset, model=FixedEmbeddings(*tables))


def test_a_seed_that_is_finished_is_read(dataset, tmp_path):
    first = train_seed(configure(), dataset, tmp_path, model=Plain, loss=Hinge)
    assert train_seed(configure(), dataset, tmp_path, model=Plain, loss=Hinge) == first


def test_runs_are_compared_and_reported_without_their_code(dataset, tmp_path):
    for name, loss in (("a", Hinge), ("b", Hardened)):
        for seed in (0, 1):
            folder = tmp_path / name / f"seed-{seed}"
            config = configure(train={"seed": seed})
            train(config, dataset, model=Plain, loss=loss, out=folder)
    seeds = read_run(tmp_path / "a")
    assert [seed.config.custom for seed in seeds] == [["model", "loss"]] * 2
    assert compare_runs([tmp_path / "a", tmp_path / "b"])
    for name in ("a", "b"):
        text = write_report(tmp_path / name).read_text("utf-8")
        assert f"{NAME}:Plain" in text


def test_figures_of_the_hardness_are_left_out(dataset, tmp_path):
    config = configure(f"{NAME}:Plain", "adv", loss={"adversary_every": 2})
    train(config, dataset, model=Plain, out=tmp_path / "seed-0")
    with pytest.warns(UserWarning, match="custom code is not imported"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("model", "searched"),
    [
        (Plain, {"loss.margin", "model.dim"}),
        (build, {"loss.margin", "model.dim"}),
        (Own, {"loss.margin"}),
        (compose, {"loss.margin"}),
    ],
)
def test_a_study_searches_what_custom_code_names(model, searched, dataset, tmp_path):
    call = partial(tune, configure(train={"epochs": 2}), dataset, folder=tmp_path)
    custom = {"model": model, "loss": Hinge}
    tmp_path.joinpath(".advnce").touch()
    summary = call(trials=3, **custom)
    assert summary["trials"]["complete"] == 3
    assert summary["top"][0]["params"].keys() >= searched
    assert {k for k in summary["top"][0]["params"] if k[0] != "t"} == searched
    assert call(trials=4, **custom)["trials"]["complete"] == 4
    with pytest.raises(ConfigError, match=r"a study of other settings: loss.name is"):
        call(trials=5, model=model, loss=Hardened)


def test_the_best_of_a_study_is_a_custom_run_s_settings(dataset, tmp_path):
    summary = tune(
        configure(train={"epochs": 2}),
        dataset,
        folder=tmp_path,
        trials=3,
        model=Plain,
        loss=Hinge,
    )
    found = Config.load(tmp_path / "best.toml")
    result = train(
        found.updated({"train": SMALL["train"] | {"epochs": 2}}),
        dataset,
        model=Plain,
        loss=Hinge,
    )
    best = summary["best"]["value"]
    assert (
        max(r.metrics["valid/recall@20"] for r in result.history if r.metrics) == best
    )


def test_every_trial_builds_anew(dataset, tmp_path):
    module = instance(Plain, dataset.graph)
    for custom in ({"model": module}, {"loss": Hinge()}):
        with pytest.raises(ConfigError, match=r"pass a class or a function .*instance"):
            tune(configure(), dataset, folder=tmp_path, **custom)


@pytest.mark.parametrize("space", [{"dim": 3}, {"dmi": [3, 4]}, {"dim": []}, [3]])
def test_a_space_that_is_none(space, dataset, tmp_path):
    class Spaced(Plain):
        search_space = space

    with pytest.raises(ConfigError, match="search_space"):
        tune(configure(), dataset, folder=tmp_path / "study", model=Spaced, trials=2)
    assert not (tmp_path / "study").exists()


def test_settings_of_custom_code_are_listed_with_their_meanings():
    config = configure(f"{NAME}:build", f"{NAME}:Hardened")
    found = {s.name: s for s in settings(config, model=build, loss=Hardened)}
    assert found["model.dim"].value == 8
    assert found["model.dim"].meaning == "The width of it all."
    assert {"loss.hard_lr", "hardness.kind", "train.lr"} <= found.keys()
    assert not {"model.graph", "loss.hardness", "model.lr"} & found.keys()
    names = {s.name for s in settings(config)}  # without the code
    assert not {n for n in names if n.startswith(("model.", "loss."))}


def test_arguments_of_a_class_count_where_its_builder_hands_them_on(dataset):
    class Sized(FromGraph):
        @classmethod
        def from_graph(cls, graph, *, scale: float = 1.0):
            return cls(graph["user"].num_nodes, graph["item"].num_nodes)

    config = configure("x:Sized", "bpr")
    names = {s.name for s in settings(config, model=Sized)}
    assert {n for n in names if n.startswith("model.")} == {"model.scale"}
    names = {s.name for s in settings(config, model=FromGraph)}
    assert {n for n in names if n.startswith("model.")} == {"model.dim"}
    config = configure("x:Sized", "bpr", model={"dim": 3})
    with pytest.raises(ConfigError, match=r"'model.dim'; .model. has scale"):
        train(config, dataset, model=Sized)


# Errors. Each is one clear line, and comes before a folder is made.


def nothing(graph):
    return None


def three(graph, width, depth=1):
    return Plain(graph)


class Silent(nn.Module):
    def __init__(self, graph):
        super().__init__()
        self.x = nn.Parameter(torch.zeros(2))


def returning(*found):
    """Make a model whose forward returns what is given, or calls it."""

    class Wrong(FromGraph):
        def forward(self, graph):
            (value,) = found
            return value(*super().forward(graph)) if callable(value) else value

    return Wrong


class Needy(Criterion):
    def __init__(self, margin, other=1.0):
        super().__init__()


class Rows(Criterion):
    def forward(self, z_user, z_item, batch):
        return batch_of(z_user, batch)


def batch_of(z_user, batch):
    return z_user[batch.src_index].sum(-1)


def function_of_loss(z_user, z_item, batch):
    return z_user.sum()


SHAPES = r"z_user \[290, D\] and z_item \[295, D\] \(got "
WRONG = {
    "no module": ({"model": nothing}, "must be or return a torch module .got NoneType"),
    "text": ({"model": "lightgcn"}, "model must be a module, or a class or function"),
    "number": ({"loss": 3}, "loss must be a RankingLoss or a class of them, .*got 3"),
    "function": ({"loss": function_of_loss}, "loss must be a RankingLoss or a class"),
    "module": ({"loss": nn.Linear(2, 2)}, "loss must be a RankingLoss or a class"),
    "class": ({"loss": nn.Linear}, "loss must be a RankingLoss or a class"),
    "required": ({"model": three}, "argument: 'width'"),
    "required by a loss": ({"loss": Needy}, "argument: 'margin'"),
    "silent": ({"model": Silent}, "neither a forward nor a method scores"),
    "None": ({"model": returning(None)}, "must return .*Embeddings .got NoneType"),
    "one": ({"model": returning(lambda u, i: u)}, "must return .*got Parameter"),
    "three": ({"model": returning(lambda u, i: (u, i, u))}, "must return .*got tuple"),
    "swapped": ({"model": returning(lambda u, i: (i, u))}, SHAPES),
    "widths": ({"model": returning(lambda u, i: (u[:, :2], i))}, SHAPES),
    "flat": ({"model": returning(lambda u, i: (u[:, 0], i[:, 0]))}, SHAPES),
    "embeddings": (
        {"model": returning(lambda u, i: Embeddings(i, u, ((i, u),)))},
        SHAPES,
    ),
    "no layers": ({"model": returning(lambda u, i: Embeddings(u, i, ()))}, "layers"),
    "scores": (
        {"model": Popular, "loss": Hinge},
        "no forward and cannot be trained: use the loss",
    ),
    "scores of a function": (
        {"model": lambda graph: Popular(graph)},
        "the loss 'none'",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_model_or_loss_is_refused(case, dataset, tmp_path):
    custom, said = WRONG[case]
    with pytest.raises(ConfigError, match=said) as error:
        train(configure(), dataset, out=tmp_path / "run", **custom)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_a_loss_per_pair_is_no_loss(dataset):
    with pytest.raises(
        ConfigError, match=r"Rows must return a scalar tensor, .*got shape \[64\]"
    ):
        train(configure(), dataset, loss=Rows)


@pytest.mark.parametrize("shape", [(2, 3), (1, 295), (295,)])
def test_scores_have_a_row_for_each_user(shape, dataset):
    class Wrong(Popular):
        def scores(self, user):
            return torch.zeros(shape)

    with pytest.raises(ConfigError, match=r"expected scores of .* \[\d+, 295\] .got"):
        train(configure(), dataset, model=Wrong)


@pytest.mark.parametrize(
    ("sections", "custom", "said"),
    [
        ({"model": {"dmi": 3}}, {"model": build}, "did you mean 'model.dim'"),
        ({"model": {"dim": "3"}}, {"model": build}, r"^model.dim: .* \(got '3'\)"),
        ({"model": {"dim": 3}}, {}, "custom code, .* pass it as model="),
        ({"model": {"dim": 0}}, {"model": build}, "^model.dim must be positive"),
        ({"loss": {"marign": 1.0}}, {"model": build}, "did you mean 'loss.margin'"),
        ({"hardness": {"dim": 3}}, {"model": build}, "has no hardness"),
    ],
)
def test_wrong_options(sections, custom, said, dataset):
    config = configure(f"{NAME}:build", f"{NAME}:Hinge", **sections)
    with pytest.raises(ConfigError, match=said):
        train(config, dataset, loss=Hinge, **custom)


def test_an_instance_takes_no_options(dataset):
    config = configure(f"{NAME}:build", f"{NAME}:Hinge", model={"dim": 3})
    with pytest.raises(
        ConfigError,
        match=r"dim of \[model\] cannot be set, since the model is built already",
    ):
        train(config, dataset, model=Plain(dataset.graph), loss=Hinge)
    config = configure("mf", f"{NAME}:Hinge", loss={"margin": 0.3})
    with pytest.raises(ConfigError, match=r"^margin of \[loss\] cannot be set"):
        train(config, dataset, loss=Hinge())


def test_a_loss_beside_the_name_of_another_is_refused(dataset):
    said = r"names the loss 'bpr' \(got the loss Hinge, too\)"
    for given in (Hinge, Hinge()):
        with pytest.raises(ConfigError, match=said):
            train(configure("mf", "bpr"), dataset, loss=given)
    method = Method.compose(Plain(dataset.graph), Hinge())
    with pytest.raises(ConfigError, match=said):
        train(configure("mf", "bpr"), dataset, model=method)


def test_a_loss_beside_its_own_name_is_accepted(dataset):
    config = configure("mf", "bpr")
    assert train(config, dataset, loss=BPR).history


def test_a_model_of_scores_takes_no_options_of_a_loss(dataset):
    config = configure(f"{NAME}:Popular", "none", loss={"tau": 0.5})
    with pytest.raises(ConfigError, match=r"unknown key 'loss.tau'"):
        train(config, dataset, model=Popular)


def test_a_name_alone_is_not_enough(dataset, tmp_path):
    for config, said in [
        (configure(f"{NAME}:build"), "the model '.*:build' is custom code"),
        (configure("mf", f"{NAME}:Hinge"), "the loss '.*:Hinge' is custom code"),
    ]:
        with pytest.raises(ConfigError, match=said):
            train(config, dataset, out=tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_loading_wants_all_of_the_code_or_none(dataset, tmp_path):
    train(configure(), dataset, model=Plain, loss=Hinge, out=tmp_path)
    with pytest.raises(ConfigError, match=r"loss .*Hinge' is custom code"):
        load_run(tmp_path, model=Plain)
    with pytest.raises(CheckpointError, match="weights of another model"):
        load_run(tmp_path, model=Own, loss=Hinge)


def test_a_run_of_the_library_s_own_takes_no_code(dataset, tmp_path):
    train(configure(), dataset, out=tmp_path)
    with pytest.raises(ConfigError, match="has trained the model 'mf', no custom one"):
        load_run(tmp_path, model=Plain)
    with pytest.raises(ConfigError, match="has trained the loss 'adv', no custom one"):
        load_run(tmp_path, loss=InfoNCE())


def test_an_error_of_custom_code_is_shown_as_it_is(dataset):
    class Buggy(FromGraph):
        def forward(self, graph):
            return {}["key"]

    with pytest.raises(KeyError, match="key"):
        train(configure(), dataset, model=Buggy)


# What a file names is never imported.


@pytest.fixture
def evil(dataset, tmp_path, monkeypatch):
    """A run whose files name a module that leaves a trace when it is imported."""
    trace = f"import pathlib; pathlib.Path({str(tmp_path / 'trace')!r}).touch()"
    code = f"{trace}\nfrom {NAME} import *\n"
    tmp_path.joinpath("evil.py").write_text(code, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "run" / "seed-0"
    config = configure(f"{NAME}:build", f"{NAME}:Hinge")
    train(config, dataset, model=build, loss=Hinge, out=folder)
    file = folder / "config.toml"
    file.write_text(file.read_text("utf-8").replace(NAME, "evil"), "utf-8")
    yield tmp_path / "run"
    assert not (tmp_path / "trace").exists()
    importlib.import_module("evil")
    assert (tmp_path / "trace").exists()
    sys.modules.pop("evil")


def test_the_names_in_a_run_s_files_are_names(evil, dataset):
    run = load_run(evil)
    assert run.config.custom == ["model", "loss"]
    run.recommend(k=1)
    run.export(evil / "x.npz")
    assert read_run(evil)[0].config.pair == "evil:build + evil:Hinge"
    compare_runs([evil, evil])
    write_report(evil)
    config = Config.load(evil / "seed-0" / "config.toml")
    settings(config)
    with pytest.raises(ConfigError, match="is custom code"):
        train(config.updated({"train": {"epochs": 5}}), dataset, out=evil / "seed-0")
    with pytest.raises(ConfigError, match="is custom code"):
        tune(config, dataset, folder=evil / "study")


def test_a_name_is_shown_as_text(evil):
    file = evil / "seed-0" / "config.toml"
    text = file.read_text("utf-8").replace("evil:build", "evil:<script>alert(1)")
    file.write_text(text, "utf-8")
    assert "<script>alert(1)" not in write_report(evil).read_text("utf-8")


@pytest.mark.parametrize(
    ("tensors", "about"),
    [
        ({"user": (290, 4)}, {"cosine": True}),
        ({"user": (290, 4), "item": (295, 3)}, {"cosine": True}),
        ({"user": (9, 4), "item": (295, 4)}, {"cosine": True}),
        ({"user": (290,), "item": (295,)}, {"cosine": True}),
        ({"user": (290, 4), "item": (295, 4), "forward": (3,)}, {"cosine": True}),
        ({"user": (290, 4), "item": (295, 4), "messages": (3, 4)}, {"cosine": True}),
        ({"user": (290, 4), "item": (295, 4)}, {}),
    ],
)
def test_embeddings_of_another_shape_are_damaged(evil, tensors, about):
    tables = {name: torch.zeros(shape) for name, shape in tensors.items()}
    write_tensors(evil / "seed-0" / EMBEDDINGS, tables, about)
    with pytest.raises(CheckpointError, match=f"{EMBEDDINGS}: "):
        load_run(evil)


@pytest.mark.parametrize(
    "kinds", [(torch.int64, torch.int64), (torch.float32, torch.float64)]
)
def test_embeddings_of_another_type_are_damaged(evil, kinds):
    user, item = kinds
    tables = {"user": torch.zeros(290, 4, dtype=user)}
    tables["item"] = torch.zeros(295, 4, dtype=item)
    write_tensors(evil / "seed-0" / EMBEDDINGS, tables, {"cosine": True})
    with pytest.raises(CheckpointError, match=f"{EMBEDDINGS}: not the embeddings"):
        load_run(evil)


def test_a_training_that_failed_says_what_loads_it(evil):
    for name in (EMBEDDINGS, "metrics.json"):
        (evil / "seed-0" / name).unlink()
    with pytest.raises(CheckpointError, match=r"its training failed; pass the"):
        load_run(evil)
    assert load_run(evil, model=build, loss=Hinge).best_epoch == -1


# The neighbour loader and other devices.


def neighbors(**options):
    return configure(train={"loader": "neighbor", **options})


@pytest.mark.pyg_lib
def test_a_model_that_says_how_far_it_looks_takes_samples(dataset):
    config = neighbors(num_neighbors=[3, 2])
    first, second = (train(config, dataset, model=Sage) for _ in range(2))
    assert first.metrics == second.metrics
    with pytest.raises(ConfigError, match="have 2 numbers, one per layer"):
        train(neighbors(num_neighbors=[3]), dataset, model=Sage)


@pytest.mark.pyg_lib
@pytest.mark.parametrize("model", [Plain, build, compose])
def test_a_model_that_does_not_say_it_takes_none(model, dataset):
    said = "'neighbor': the encoder needs the whole graph .its num_hops is None"
    with pytest.raises(ConfigError, match=said):
        train(neighbors(), dataset, model=model)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("loss", [Hinge, Hardened])
@pytest.mark.parametrize("model", EMBEDDING)
def test_a_custom_run_on_cuda_is_loaded_on_the_cpu(model, loss, dataset, tmp_path):
    custom = {"model": model, "loss": loss}
    result = train(configure(), dataset, device="cuda", out=tmp_path, **custom)
    assert result.method.encode(result.graph).user.is_cuda
    assert load_run(tmp_path, device="cuda").metrics == result.metrics
    run = load_run(tmp_path, device="cpu")
    for name, value in evaluate(run.method, run.graph, Evaluator(run.graph)).items():
        assert value == pytest.approx(result.metrics[name], abs=5e-3)


class Returning(Criterion):
    """Returns what ``made`` makes of a good loss."""

    def __init__(self, made):
        super().__init__()
        self.made = made

    def forward(self, z_user, z_item, batch):
        return self.made((z_user.sum() + z_item.sum()) / len(batch.src_index))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (
            lambda loss: {"loss": loss},
            r"a scalar tensor, the batch's mean \(got dict\)",
        ),
        (lambda loss: None, r"a scalar tensor, the batch's mean \(got NoneType\)"),
        (lambda loss: loss.expand(2), r"a scalar tensor, .* \(got shape \[2\]\)"),
        (lambda loss: loss.detach(), "a tensor with a gradient: do not detach it"),
    ],
)
def test_a_loss_that_returns_no_scalar_with_a_gradient(dataset, made, said):
    config = configure("mf", "m:Returning")
    with pytest.raises(ConfigError, match=f"^Returning must return {said}"):
        train(config, dataset, loss=Returning(made))


class Uninitialised(Criterion):
    def __init__(self, tau: float = 0.2):
        self.tau = tau


def test_a_loss_that_does_not_initialise_its_base(dataset):
    config = configure("mf", "m:Uninitialised")
    said = r"^Uninitialised\.__init__ must call super\(\)\.__init__\(\) first"
    with pytest.raises(ConfigError, match=said):
        train(config, dataset, loss=Uninitialised)


class TwoArguments(nn.Module):
    def forward(self, x, edge_index):
        return x, edge_index


def test_a_forward_that_takes_more_than_the_graph(dataset):
    said = r"^TwoArguments\.forward must take the graph alone \(missing .*edge_index"
    with pytest.raises(ConfigError, match=said):
        train(configure("m:TwoArguments", "bpr"), dataset, model=TwoArguments())
