import math
import pickle
import sys
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import pyg_advinfonce
from pyg_advinfonce import experiment, machine
from pyg_advinfonce.build import (
    assemble,
    build_loss,
    build_method,
    make_trainer,
    prepare,
)
from pyg_advinfonce.config import Config, setting_values, settings
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.encoders import Embeddings, FittedEncoder, LightGCN
from pyg_advinfonce.errors import (
    AdvInfoNCEError,
    CheckpointError,
    ConfigError,
    GraphError,
    MemoryShortageError,
    MissingExtraError,
    NonFiniteLossError,
)
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.experiment import train, train_seed
from pyg_advinfonce.graph import (
    build_graph,
    merge_splits,
    message_graph,
    num_nodes,
    split_edges,
    train_degrees,
)
from pyg_advinfonce.losses import (
    BPR,
    Criterion,
    DirectAU,
    EmbeddingHardness,
    Hardness,
    MLPHardness,
    RandomHardness,
)
from pyg_advinfonce.machine import find_device
from pyg_advinfonce.methods import Method
from pyg_advinfonce.objective import Step
from pyg_advinfonce.registry import LOSSES, MODELS, Entry
from pyg_advinfonce.runs import Result, load_run, read_seed
from pyg_advinfonce.training import Callback, Trainer, load_weights, train_only
from tests import cases
from tests.host_mode import Watch
from tests.scorers import SCORERS, Ease, untrained

CONFIGS = Path(pyg_advinfonce.__file__).parent / "config" / "packaged"
PACKAGED = [
    (file.parent.name, *file.stem.split("-", 1))
    for file in sorted(CONFIGS.glob("*/*.toml"))
]
SMALL = {"model": {"dim": 4}, "train": {"batch_size": 4, "num_negatives": 3}}
CLOSED_FORMS = ("popularity", "itemknn", "ease")
COUNTED = ("bpr", "ccl", "bc")  # whose L2 penalty is on the negatives' rows as well
HARDNESS = {
    "adv": EmbeddingHardness,
    "adv-reverse": EmbeddingHardness,
    "adv-mlp": MLPHardness,
    "rand": RandomHardness,
}


@pytest.fixture
def dataset(graph):
    """The toy graph as a data set."""
    return SimpleNamespace(graph=graph, fingerprint="toy", summary=dict)


def trainer_of(dataset, model="lightgcn", **keys):
    config = Config.resolve(model, "adv", "toy", layers=[SMALL, {"train": keys}])
    return assemble(config, dataset, device="cpu")


def test_the_optimiser_is_chosen_for_the_main_phase_only(dataset):
    keys = {"optimizer": "adamw", "weight_decay": 0.25, "lr": 0.5, "clip_norm": 2.0}
    schedule = {"lr_schedule": "step", "lr_epochs": 3, "lr_factor": 0.25}
    trainer = trainer_of(dataset, **keys, **schedule)
    (adversary, rising), (main, falling) = trainer.phases
    assert (adversary.name, main.name) == ("adversary", "main")
    assert (type(rising), type(falling)) == (torch.optim.Adam, torch.optim.AdamW)
    assert falling.defaults["weight_decay"] == 0.25
    assert falling.defaults["lr"] == 0.5
    assert (adversary.lr_schedule, adversary.clip_norm) == (None, None)
    assert main.clip_norm == 2.0
    found = main.lr_schedule(falling)
    assert (found.step_size, found.gamma) == (3, 0.25)


def test_by_default_it_is_plain_adam(dataset):
    (phase, optimizer) = trainer_of(dataset).phases[1]
    assert type(optimizer) is torch.optim.Adam
    assert optimizer.defaults["weight_decay"] == 0
    assert (phase.lr_schedule, phase.clip_norm) == (None, None)


def test_a_method_has_its_optimiser(dataset):
    config = Config.resolve("mf", layers=[SMALL, {"train": {"clip_norm": 1.0}}])
    method = Method.compose(LightGCN(3, 3, 4), BPR())
    with pytest.raises(ConfigError, match="whose main phase has its own clip_norm"):
        assemble(config, dataset, model=method)


def resolve(model, loss, /, **sections):
    small = SMALL | {"model": cases.width(model, 4)}
    layers = [small, {"train": {"epochs": 2, "eval_every": 1}}, sections]
    return Config.resolve(model, loss, "none", layers=layers)


@pytest.mark.parametrize(("data", "model", "loss"), PACKAGED)
def test_every_packaged_configuration_builds_what_it_says(data, model, loss, graph):
    small = {"train": {"batch_size": 8}}
    config = Config.resolve(model, loss, data, layers=[small])
    method = build_method(config, graph)
    trainer = make_trainer(config, method, graph, ())
    criterion, encoder = method.loss, method.encoder
    assert type(criterion) is LOSSES[loss].load()
    assert type(encoder) is MODELS[model].load_encoder()
    assert encoder.user.size(1) == config.model.options.get("dim", 64)
    convs = getattr(encoder, "convs", ())
    assert len(convs) == config.model.options.get("num_layers", 0)
    options = config.loss.options
    for key in {"tau", "negative_weight", "reverse"} & options.keys():
        assert getattr(criterion, key) == options[key]
    sampled = criterion.negatives == "sampled"
    assert trainer.sampler.num_negatives == sampled * config.train.num_negatives
    phases = {phase.name: phase for phase in method.phases}
    assert phases["main"].optimizer([]).defaults["lr"] == config.train.lr
    assert ("adversary" in phases) == loss.startswith("adv")
    if loss in HARDNESS:
        assert type(criterion.hardness) is HARDNESS[loss]
    if "adversary" in phases:
        adversary = phases["adversary"]
        epochs = [epoch for epoch in range(1000) if adversary.active(epoch)]
        adam = adversary.optimizer([]).defaults
        assert adam["lr"] == options["adversary_lr"]
        assert adam["maximize"] == (loss != "adv-reverse")
        assert len(epochs) == options["adversary_epochs"]
        assert epochs[1] - epochs[0] == options["adversary_every"]


@pytest.mark.parametrize("loss", MODELS["lightgcn"].losses)
def test_the_penalty_counts_negatives_with_the_losses_whose_authors_do(loss, graph):
    counted = resolve("lightgcn", loss)
    other = resolve("lightgcn", loss, train={"l2_negatives": loss not in COUNTED})
    for config, expected in ((counted, loss in COUNTED), (other, loss not in COUNTED)):
        assert build_method(config, graph).objective.terms["l2"].negatives == expected


@pytest.mark.parametrize(
    ("model", "loss"),
    [(m, loss) for m, entry in MODELS.items() for loss in entry.losses],
)
def test_every_pair_trains_on_the_toy_graph(model, loss, dataset, tmp_path):
    early = {"loss": {"freeze_epoch": 1}} if loss == "bc" else {}
    config = resolve(model, loss, **early)
    found = train(config, dataset, device="cpu", out=tmp_path / "run")
    assert len(found.history) == (1 if model in CLOSED_FORMS else 2)
    assert all(0 <= value <= 1 for value in found.metrics.values())
    assert {name.split("/")[0] for name in found.metrics} == {"valid", "test"}
    assert (found.device, found.best_epoch in (0, 1)) == ("cpu", True)


def graph_of(train, *, users, items):
    splits = {"valid": cases.pairs((0, items - 1)), "test": cases.pairs((0, items - 2))}
    size = {"num_users": users, "num_items": items}
    return SimpleNamespace(
        graph=build_graph(cases.pairs(*train), **size, splits=splits),
        fingerprint="made",
    )


STAR = graph_of([(u, 0) for u in range(6)], users=6, items=4)
ONE_USER = graph_of([(0, i) for i in range(6)], users=1, items=9)
ONE_PAIR = SimpleNamespace(
    graph=build_graph(
        cases.pairs((0, 0)),
        num_users=1,
        num_items=1,
        splits={"valid": cases.pairs((0, 0)), "test": cases.pairs((0, 0))},
    ),
    fingerprint="made",
)


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")  # equal rows
@pytest.mark.parametrize("data", [STAR, ONE_USER], ids=["star", "one user"])
@pytest.mark.parametrize(
    ("model", "loss"),
    [(m, loss) for m, entry in MODELS.items() for loss in entry.losses],
)
def test_every_pair_trains_where_one_node_has_all_pairs(model, loss, data):
    early = {"loss": {"freeze_epoch": 1}} if loss == "bc" else {}
    found = train(resolve(model, loss, **early), data, device="cpu")
    assert all(0 <= value <= 1 for value in found.metrics.values())
    assert all(map(math.isfinite, found.history[-1].losses.values()))


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@pytest.mark.parametrize(
    ("model", "loss"),
    [(m, loss) for m, entry in MODELS.items() for loss in entry.losses],
)
def test_one_user_and_one_item_train_or_say_why_not(model, loss):
    early = {"loss": {"freeze_epoch": 1}} if loss == "bc" else {}
    config = resolve(model, loss, train={"batch_size": 1}, **early)
    draws = build_method(config, ONE_PAIR.graph).negatives == "sampled"
    if draws and config.train.exclude_positives:
        with pytest.raises(ConfigError, match="exceeds the 0 train pairs"):
            train(config, ONE_PAIR, device="cpu")
        return
    found = train(config, ONE_PAIR, device="cpu")
    assert found.metrics["test/recall@20"] == 1
    assert all(map(math.isfinite, found.history[-1].losses.values()))


def test_too_few_epochs_for_the_encoder_are_a_warning(dataset):
    config = resolve("mf", "bc", loss={"freeze_epoch": 2})
    with pytest.warns(UserWarning, match="not trained in 2 epochs, .*: raise train"):
        train(config, dataset, device="cpu")


def test_an_adversary_with_a_single_negative_is_a_warning(graph, recwarn):
    for loss, said in (("adv", 1), ("infonce", 0), ("rand", 0)):
        config = resolve("mf", loss, train={"num_negatives": 1})
        recwarn.clear()
        make_trainer(config, build_method(config, graph), graph, ())
        found = [str(w.message) for w in recwarn if "one negative" in str(w.message)]
        assert len(found) == said


class HardBPR(Criterion):
    """A loss of someone's own that has a hardness."""

    def __init__(self, hardness: Hardness | None = None, scale: float = 1.0) -> None:
        super().__init__()
        self.hardness, self.scale = hardness, scale


@pytest.fixture
def own_loss(monkeypatch):
    """The row of a loss of someone's own in the table."""
    monkeypatch.setattr("pyg_advinfonce.losses.HardBPR", HardBPR, raising=False)
    monkeypatch.setitem(LOSSES, "hard-bpr", Entry("losses:HardBPR", "BPR, weighted"))

    def config(**sections):
        found = resolve("mf", "adv", **sections)
        loss = found.loss.model_copy(update={"name": "hard-bpr"})
        return found.model_copy(update={"loss": loss})

    return config


def test_a_loss_of_ones_own_has_the_hardness_that_its_section_describes(
    own_loss, graph
):
    config = own_loss(hardness={"kind": "mlp", "hidden": 2}, loss={"scale": 3.0})
    criterion = build_loss(config, graph)
    assert isinstance(criterion.hardness, MLPHardness)
    assert criterion.hardness.user.weight.shape == (2, 4)  # as wide as the encoder
    assert criterion.scale == 3
    assert type(build_loss(own_loss(), graph).hardness) is EmbeddingHardness


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"hardness": {"kind": "mpl"}}, r"^unknown hardness\.kind 'mpl', did"),
        ({"hardness": {"hidden": 1}}, r"^unknown key 'hardness\.hidden'"),
        ({"hardness": {"dim": 0}}, r"^hardness\.dim must be positive"),
        ({"loss": {"hardness": 1}}, r"^unknown key 'loss\.hardness'"),
    ],
)
def test_its_hardness_is_checked_as_any(own_loss, graph, sections, said):
    with pytest.raises(AdvInfoNCEError, match=said):
        build_loss(own_loss(**sections), graph)


def test_its_settings_list_the_hardness(own_loss):
    names = [s.name for s in settings(own_loss(hardness={"kind": "mlp"}))]
    assert "hardness.hidden" in names
    assert "loss.hardness" not in names


def test_its_learned_hardness_has_no_choice_among_one_negative(own_loss, graph):
    config = own_loss(train={"num_negatives": 1})
    with pytest.warns(UserWarning, match="one negative per positive"):
        make_trainer(config, build_method(config, graph), graph, ())


def test_negatives_are_drawn_as_the_configuration_says(graph):
    for model, loss, excludes in (
        ("ultragcn", "bce", False),  # as its authors draw them
        ("ultragcn", "infonce", True),
        ("vgae", "bce", True),
    ):
        config = resolve(model, loss)
        sampler = make_trainer(config, build_method(config, graph), graph, ()).sampler
        assert sampler.exclude_positives is excludes


def test_nothing_is_written_unless_asked(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(resolve("mf", "adv"), dataset, device="cpu")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("model", "loss"), [("lightgcn", "adv"), ("autocf", "autocf"), ("ultragcn", "bce")]
)
def test_a_result_is_pickled(model, loss, dataset):
    result = train(resolve(model, loss), dataset, device="cpu")
    found = pickle.loads(pickle.dumps(result))
    assert (found.config, found.metrics) == (result.config, result.metrics)
    expected, weights = result.method.state_dict(), found.method.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert found.recommend(k=3).equals(result.recommend(k=3))


def test_the_data_set_s_graph_is_not_changed(dataset):
    before = dataset.graph.clone()
    train(resolve("lightgcn", "adv"), dataset, device="cpu")
    assert dataset.graph.to_dict().keys() == before.to_dict().keys()
    for old, new in zip(before.stores, dataset.graph.stores, strict=True):
        assert list(old.keys()) == list(new.keys())
        assert all(torch.equal(old[k], new[k]) for k in old if torch.is_tensor(old[k]))


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_seeds_decide(seed, dataset):
    def weights(chosen):
        config = resolve("mf", "adv", train={"seed": chosen})
        return train(config, dataset, device="cpu").method.encoder.user

    assert torch.equal(weights(seed), weights(seed))
    assert not torch.equal(weights(seed), weights(1))


def test_the_adversary_s_table_is_as_wide_as_the_encoder(graph):
    wide = build_method(resolve("mf", "adv", model={"dim": 7}), graph)
    assert wide.loss.hardness.user.size(1) == 7
    own = {"model": {"dim": 7}, "hardness": {"dim": 3}}
    narrow = build_method(resolve("mf", "adv", **own), graph)
    assert narrow.loss.hardness.user.size(1) == 3


def of_custom(builder, loss, **sections):
    """Return the configuration of a custom model, of whose keys none is set."""
    layers = [{"train": {"batch_size": 8}}, sections]
    return Config.resolve(f"mine:{builder.__name__}", loss, "none", layers=layers)


@pytest.mark.parametrize("loss", ["adv", "adv-mlp", "bc"])
def test_the_loss_s_tables_are_as_wide_as_a_custom_model_is_by_default(loss, dataset):
    def narrow(graph, dim=5):
        return LightGCN(*num_nodes(graph), dim=dim)

    config = of_custom(narrow, loss)
    method = assemble(config, dataset, device="cpu", model=narrow).method
    assert {p.size(-1) for p in method.loss.parameters() if p.dim() > 1} == {5}
    listed = setting_values(config, model=narrow)
    assert 5 in (listed.get("loss.dim"), listed.get("hardness.dim"))


@pytest.mark.parametrize("key", ["lr", "l2"])
def test_a_custom_model_has_keys_of_any_name(key, dataset):
    """Only a builder that is given the loss gets lr and l2 from [train]."""
    seen = []

    def ridge(graph, l2=100.0, lr=0.5):
        seen.append({"l2": l2, "lr": lr})
        return Ease(graph, l2)

    config = of_custom(ridge, "none", model={key: 2.0})
    assemble(config, dataset, device="cpu", model=ridge)
    assert seen == [{"l2": 100.0, "lr": 0.5, key: 2.0}]
    assert setting_values(config, model=ridge)[f"model.{key}"] == 2

    def method(graph, loss, *, lr, l2=1.0):
        seen.append({"l2": l2, "lr": lr})
        return Method.compose(LightGCN(*num_nodes(graph)), loss, lr=lr, l2=l2)

    config = of_custom(method, "bpr", train={key: 0.25})
    assemble(config, dataset, device="cpu", model=method)
    assert seen[-1] == {"l2": 1e-5, "lr": 1e-3, key: 0.25}
    config = of_custom(method, "bpr", model={key: 2.0})
    with pytest.raises(ConfigError, match=rf"^unknown key 'model\.{key}'"):
        assemble(config, dataset, device="cpu", model=method)


def test_a_hardness_may_be_chosen(graph):
    config = resolve("mf", "adv", hardness={"kind": "mlp", "hidden": 2})
    assert build_method(config, graph).loss.hardness.user.out_features == 2


@pytest.mark.parametrize(
    ("loss", "sections", "said"),
    [
        ("adv", {"loss": {"tau": 0.0}}, r"^loss\.tau must be positive \(got 0\.0\)$"),
        ("adv", {"loss": {"tau": "0.1"}}, r"^loss\.tau: "),
        ("adv", {"loss": {"negative_weight": -1}}, r"^loss\.negative_weight must be"),
        ("adv", {"loss": {"hardness": 1}}, r"^unknown key 'loss\.hardness'"),
        ("adv", {"loss": {"adversary_lr": -1.0}}, "-1.0"),
        ("bpr", {"loss": {"tau": 0.1}}, r"^unknown key 'loss\.tau'"),
        ("bpr", {"hardness": {"kind": "mlp"}}, r"^loss 'bpr' has no hardness: remove"),
        ("adv", {"hardness": {"kind": "mpl"}}, r"^unknown hardness\.kind 'mpl', did"),
        ("adv", {"hardness": {"hidden": 1}}, r"^unknown key 'hardness\.hidden'"),
        ("adv", {"hardness": {"num_users": 1}}, r"^unknown key 'hardness\.num_users'"),
        ("adv", {"model": {"dim": 0}}, r"^model\.dim must be positive"),
        ("adv", {"model": {"num_users": 5}}, r"^unknown key 'model\.num_users'"),
        ("adv", {"model": {"alpha": [1.0]}}, r"^model\.alpha needs 3 weights"),
        ("adv", {"model": {"l2": 0.1}}, r"^unknown key 'model\.l2'"),
        ("adv", {"train": {"num_negatives": 0}}, r"train\.num_negatives must be at"),
        ("adv", {"train": {"batch_size": 99}}, r"^train\.batch_size 99 exceeds"),
    ],
)
def test_assemble_names_section_and_key(loss, sections, said, dataset):
    with pytest.raises(ConfigError, match=said):
        assemble(resolve("lightgcn", loss, **sections), dataset)


def test_a_loss_without_negatives_draws_none(graph):
    config = resolve("mf", "infonce", loss={"negatives": "in_batch"})
    trainer = make_trainer(config, build_method(config, graph), graph, ())
    assert trainer.sampler.num_negatives == 0


EXACT = ("infonce", "ccl", "adv", "adv-mlp", "rand", "adv-reverse")
EVERY = {"num_negatives": "all"}


@pytest.mark.parametrize("loss", EXACT)
def test_each_phase_over_all_negatives_moves_its_parameters_alone(
    loss, graph, monkeypatch
):
    monkeypatch.setattr("pyg_advinfonce.batch.MOST_SCORES", 24)  # two edges per part
    config = resolve("lightgcn", loss, train=EVERY)
    method = build_method(config, graph)
    trainer = make_trainer(config, method, graph, ())
    _, batch = next(iter(trainer.sampler))
    assert batch.seen is not None
    for phase in method.phases:
        params = method.params_of(phase)
        with train_only(method, params):
            step = Step(method.encoder, graph, batch, 0, 0)
            torch.stack(list(phase.objective(step).values())).sum().backward()
        moved = {id(p) for p in method.parameters() if p.grad is not None}
        assert moved == {id(p) for p in params}
        assert all(p.grad.any() for p in params)
        method.zero_grad(set_to_none=True)
    assert len(method.phases) == 1 + loss.startswith("adv")


@pytest.mark.parametrize("loss", EXACT)
def test_all_negatives_train_in_parts_as_at_once(loss, dataset, monkeypatch):
    keys = {"adversary_first": 1, "adversary_every": 2}
    options = {"loss": keys | {"max_kl": 1e-9}} if loss.startswith("adv") else {}
    config = resolve("mf", loss, train={**EVERY, "epochs": 4}, **options)
    found = []
    for most in (2**20, 24):
        monkeypatch.setattr("pyg_advinfonce.batch.MOST_SCORES", most)
        with pytest.warns(UserWarning, match="max_kl") if options else nullcontext():
            found.append(train(config, dataset, device="cpu"))
    if options:  # the bound has ended the adversary
        names = [record.phases for record in found[0].history]
        assert [len(phases) for phases in names] == [1, 2, 1, 1]
        assert "kl_uniform_p" in found[0].history[1].diagnostics
    if loss == "rand":  # which draws per part
        return
    for name, value in found[0].method.state_dict().items():
        torch.testing.assert_close(found[1].method.state_dict()[name], value)


@pytest.mark.parametrize("loss", sorted(set(LOSSES) - set(EXACT)))
def test_other_losses_refuse_all_negatives(loss, dataset):
    model = next(name for name, entry in MODELS.items() if loss in entry.losses)
    said = (
        rf"^loss '{loss}' does not accept .*'all': .* infonce, ccl, adv, adv-mlp, rand"
    )
    with pytest.raises(ConfigError, match=said):
        assemble(resolve(model, loss, train=EVERY), dataset)


def test_negatives_of_the_batch_are_not_all_negatives(dataset):
    config = resolve("mf", "infonce", train=EVERY, loss={"negatives": "in_batch"})
    with pytest.raises(ConfigError, match=r"does not accept .*with sampled negatives$"):
        assemble(config, dataset)


def test_a_custom_loss_may_accept_all_negatives(dataset):
    class Own(BPR):
        pass

    config = resolve("mf", "adv", train=EVERY)
    with pytest.raises(ConfigError, match=r"Own' does not accept"):
        train(config, dataset, loss=Own)
    Own.takes_all_negatives = True
    assert train(config, dataset, loss=Own).metrics


def test_all_negatives_take_little_memory(dataset, monkeypatch):
    monkeypatch.setattr("pyg_advinfonce.machine.memory_of", lambda _: 50_000.0)
    number = {"train": {"num_negatives": 10_000}}
    with pytest.raises(ConfigError, match="training needs at least"):
        assemble(resolve("mf", "adv", **number), dataset, device="cpu")
    assemble(resolve("mf", "adv", train=EVERY), dataset, device="cpu")


KERNELS = {
    "triton": ({"triton": True}, {"edge_scores": "triton"}),
    "precision 'bf16'": (
        {"precision": "bf16", "triton": True},
        {"edge_scores": "bf16", "propagate": "bf16"},
    ),
}


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_of_triton_are_refused_on_a_cpu(name, dataset):
    said = rf"train\.{name} needs kernels of Triton .*\(got cpu\): set train\.\w+ to"
    with pytest.raises(ConfigError, match=said):
        assemble(resolve("mf", "bpr", train=KERNELS[name][0]), dataset, device="cpu")


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_of_triton_are_those_of_a_step(name, graph, monkeypatch):
    settings, backends = KERNELS[name]
    config = resolve("mf", "infonce", train=settings)
    method = build_method(config, graph)
    with Watch():
        monkeypatch.setitem(sys.modules, "triton", ModuleType("triton"))
        assert make_trainer(config, method, graph, ()).backends == backends
        monkeypatch.setitem(sys.modules, "triton", None)
        with pytest.raises(MissingExtraError, match="pip install triton"):
            make_trainer(config, method, graph, ())
    plain = resolve("mf", "infonce")
    assert make_trainer(plain, method, graph, ()).backends == {}


def test_auto_is_a_device_that_is_there():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert find_device("auto") == torch.device(expected)


@pytest.mark.parametrize("name", ["cpu", torch.device("cpu")])
def test_a_device_may_be_named(name):
    assert find_device(name) == torch.device("cpu")


@pytest.mark.parametrize("name", ["", "gpu", "meta", "cuda:99", "cuda:x", "cpu cpu"])
def test_a_device_that_is_not_there(name):
    with pytest.raises(
        ConfigError, match=f"'{name}' is not available: choose from cpu"
    ):
        find_device(name)


def test_a_device_out_of_range_names_those_that_are_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    said = r"'cuda:99' is not available: choose from cpu, cuda:0, cuda:1$"
    with pytest.raises(ConfigError, match=said):
        find_device("cuda:99")


def test_prepare_copies(dataset):
    prepared = prepare(dataset, torch.device("cpu"))
    assert prepared is not dataset.graph


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(CheckpointError, match=r"is not a run: it has no config\.toml$"):
        load_run(tmp_path, root=tmp_path)


def test_a_folder_of_several_seeds(tmp_path):
    for seed in (1, 0):
        tmp_path.joinpath(f"seed-{seed}").mkdir()
    said = r": choose one of \S+/seed-0, \S+/seed-1$"
    with pytest.raises(CheckpointError, match=said):
        load_run(tmp_path, root=tmp_path)


def test_a_run_that_was_interrupted(tmp_path):
    tmp_path.joinpath("seed-0").mkdir()
    resolve("mf", "adv").save(tmp_path / "seed-0" / "config.toml")
    with pytest.raises(CheckpointError, match=r"no weights\.safetensors"):
        load_run(tmp_path, root=tmp_path)


def test_one_seed_gives_all_losses_the_same_start(graph):
    tables = [
        build_method(Config.resolve("lightgcn", loss, "toy"), graph).encoder.user
        for loss in ("adv", "infonce", "adv-mlp")
    ]
    assert torch.equal(tables[0], tables[1])
    assert torch.equal(tables[0], tables[2])
    other = Config.resolve("lightgcn", "adv", "toy", layers=[{"train": {"seed": 1}}])
    assert not torch.equal(tables[0], build_method(other, graph).encoder.user)


LITTLE = {"model": {"dim": 4}, "train": {"epochs": 2, "eval_every": 1}}


@pytest.mark.parametrize("start", [assemble, train])
def test_little_data_gets_small_batches(start, dataset):
    config = Config.resolve("mf", "infonce", "none", layers=[LITTLE])
    with pytest.warns(UserWarning, match=r"^train\.batch_size is reduced to 4, since"):
        start(config, dataset, device="cpu")


def test_a_small_batch_is_saved_and_resumed(dataset, tmp_path):
    config = Config.resolve("mf", "infonce", "none", layers=[LITTLE])
    with pytest.warns(UserWarning, match="batch_size is reduced to 4"):
        train(config, dataset, device="cpu", out=tmp_path)
    saved = Config.load(tmp_path / "config.toml")
    assert saved.train.batch_size == 4
    for start, epochs in ((saved, 4), (config, 6)):
        longer = start.updated({"train": {"epochs": epochs}})
        with pytest.warns() if start is config else nullcontext():
            found = train(longer, dataset, out=tmp_path, resume=True, force=True)
        assert len(found.history) == epochs


def test_a_batch_size_that_was_chosen_is_refused_where_it_is_too_large(dataset):
    config = Config.resolve("mf", "infonce", "none", layers=[LITTLE])
    with pytest.raises(ConfigError, match=r"^train\.batch_size 1024 exceeds the 24"):
        train(config.updated({"train": {"batch_size": 1024}}), dataset)


def test_a_trainer_that_was_assembled_before_is_trained(dataset, tmp_path):
    config = resolve("mf", "adv")
    whole = train(config, dataset, device="cpu")
    seen = []

    class Seen(Callback):
        def on_epoch_end(self, trainer, record):
            seen.append((trainer, record.epoch))

    trainer = assemble(config, dataset, device="cpu", callbacks=[Seen()])
    assert list(tmp_path.iterdir()) == []
    found = train(config, dataset, out=tmp_path, trainer=trainer)
    assert found.method is trainer.method
    assert (found.metrics, found.best_epoch) == (whole.metrics, whole.best_epoch)
    assert [r.diagnostics for r in found.history] == [
        r.diagnostics for r in whole.history
    ]
    assert seen == [(trainer, 0), (trainer, 1)]
    for name, value in whole.method.state_dict().items():
        assert torch.equal(found.method.state_dict()[name], value)


@pytest.mark.parametrize("start", [assemble, train])
def test_a_library_call_leaves_the_allocator_alone(start, dataset, monkeypatch):
    def touched(*_):
        raise AssertionError("the C library was asked for")

    monkeypatch.setattr("pyg_advinfonce.machine.ctypes.CDLL", touched)
    start(resolve("mf", "infonce"), dataset, device="cpu")


def test_a_result_and_a_run_say_what_they_are_in_a_line(tmp_path):
    layers = [{"train": {"epochs": 3, "eval_every": 1}}]
    config = Config.resolve("mf", "bpr", layers=layers)
    data = load_dataset("simulated")
    result = train(config, data, out=tmp_path)
    shown = [
        f"{split}/{k}@20" for split in ("valid", "test") for k in ("recall", "ndcg")
    ]
    metrics = ", ".join(f"{name} {result.metrics[name]:.4f}" for name in shown)
    what = f"mf + bpr on simulated, seed 0, best epoch {result.best_epoch} of 0-2"
    assert repr(result) == f"Result({what}: {metrics})"
    run = load_run(str(tmp_path), root="nowhere")  # simulated data lies nowhere
    assert repr(run) == repr(result)


def test_a_history_is_the_same_table_after_training_and_from_a_folder(tmp_path):
    layers = [{"train": {"epochs": 6, "lr_schedule": "step", "lr_epochs": 2}}]
    config = Config.resolve("mf", "adv", layers=layers)
    result = train(config, load_dataset("simulated"), out=tmp_path, device="cpu")
    run = load_run(tmp_path)
    assert run.history == result.history
    assert run.metrics == result.metrics
    found = result.history_frame()
    assert list(map(str, found["epoch"])) == ["0", "1", "2", "3", "4", "5"]
    assert found["main/rec"].tolist() == [r.losses["main/rec"] for r in result.history]
    assert found["main_lr"].tolist() == pytest.approx(
        [1e-3] * 2 + [1e-4] * 2 + [1e-5] * 2
    )
    assert found["valid/recall@20"].notna().tolist() == [False] * 4 + [True] * 2
    pd.testing.assert_frame_equal(found, run.history_frame())
    pd.testing.assert_frame_equal(found, read_seed(tmp_path).history)
    (tmp_path / "history.jsonl").unlink()
    assert load_run(tmp_path).history_frame().empty


def test_a_plot_shows_losses_validation_and_the_best_epoch(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    layers = [{"train": {"epochs": 2, "eval_every": 1}}]
    config = Config.resolve("mf", "bpr", layers=layers)
    result = train(config, load_dataset("simulated"), out=tmp_path, device="cpu")
    left, right = result.plot().axes
    [losses] = left.lines
    assert losses.get_ydata().tolist() == [r.losses["main/rec"] for r in result.history]
    recall, best = right.lines
    assert recall.get_ydata().tolist() == [
        r.metrics["valid/recall@20"] for r in result.history
    ]
    assert best.get_xdata() == [result.best_epoch] * 2
    from matplotlib import pyplot

    assert pyplot.get_fignums() == []  # no window is left open
    empty = Result(config, result.method, result.graph, "toy")
    assert [len(axes.lines) for axes in empty.plot().axes] == [0, 0]


def test_what_is_printed_in_a_notebook_is_short(dataset, tmp_path):
    trainer = trainer_of(dataset)
    assert repr(trainer) == "Trainer(adversary, main: 0 of 2000 epochs, seed 0)"
    loss = trainer.method.loss
    assert repr(loss).splitlines() == [
        "AdvInfoNCE(",
        "  tau=0.2, negative_weight=64.0, adversary_lr=0.0001, schedule='official', "
        "reverse=False, hardness_l2=0.0",
        "  (hardness): EmbeddingHardness(user=[9, 4], item=[12, 4])",
        ")",
    ]
    assert "LightGCN(\n  user=[9, 4], item=[12, 4]\n" in repr(trainer.method.encoder)
    layers = [{"train": {"epochs": 1}}]
    train(
        Config.resolve("mf", "bpr", layers=layers),
        load_dataset("simulated"),
        out=tmp_path,
    )
    what = "simulated-mf-bpr, seed 0, best epoch 0 of 0-0"
    assert repr(read_seed(tmp_path)) == f"FinishedSeed('{tmp_path}': {what})"


def test_a_loaded_run_is_the_result_of_its_training(tmp_path):
    layers = [{"train": {"epochs": 3, "eval_every": 1}}]
    config = Config.resolve("mf", "bpr", layers=layers)
    result = train(config, load_dataset("simulated"), out=str(tmp_path / "run"))
    found = load_run(str(tmp_path / "run"))
    only_trained = {"method", "graph", "history", "per_user"}
    for name in {field.name for field in fields(Result)} - only_trained:
        assert getattr(found, name) == getattr(result, name), name
    tables = [
        load_file(run.export(f"{tmp_path}/{id(run)}.safetensors"))
        for run in (found, result)
    ]
    assert tables[0].keys() == tables[1].keys()
    assert all(torch.equal(tables[0][name], tables[1][name]) for name in tables[0])


def test_a_run_knows_the_data_it_was_trained_on(tmp_path):
    config = Config.resolve("mf", "bpr", layers=[{"train": {"epochs": 1}}])
    train(config, load_dataset("simulated"), out=tmp_path)
    load_run(tmp_path, root=tmp_path)
    config.updated({"data": {"seed": 1}}).save(tmp_path / "config.toml")
    with pytest.raises(CheckpointError, match="was trained on other data: simulated"):
        load_run(tmp_path, root=tmp_path)


def test_the_best_weights_survive_a_failure(tmp_path, monkeypatch):
    config = Config.resolve(
        "mf", "infonce", layers=[{"train": {"epochs": 9, "eval_every": 1}}]
    )
    evaluate_split = Evaluator.metrics
    calls = []

    def failing(self, *args):
        calls.append(args)
        if len(calls) == 3:
            raise NonFiniteLossError("scores are NaN")
        return evaluate_split(self, *args)

    monkeypatch.setattr(Evaluator, "metrics", failing)
    dataset = load_dataset("simulated")
    with pytest.raises(NonFiniteLossError, match="epoch 2"):
        train(config, dataset, out=tmp_path)
    method = build_method(config, dataset.graph)
    load_weights(method, tmp_path / "weights.safetensors")
    assert not torch.equal(
        method.encoder.user, build_method(config, dataset.graph).encoder.user
    )


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (4, "train.batch_size 4: set train.batch_size to 2 or lower train.num_neg"),
        (1, "train.batch_size 1: lower train.num_negatives or model.dim"),
    ],
)
@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory.")])
def test_out_of_memory_says_what_to_lower(dataset, monkeypatch, size, said, error):
    def fail(self):
        raise error

    monkeypatch.setattr(Trainer, "fit", fail)
    config = resolve("mf", "infonce", train={"batch_size": size})
    with pytest.raises(MemoryShortageError, match=f"^out of memory .* {said}"):
        train(config, dataset)


def test_other_errors_of_training_pass(dataset, monkeypatch):
    def fail(self):
        raise RuntimeError("a bug")

    monkeypatch.setattr(Trainer, "fit", fail)
    with pytest.raises(RuntimeError, match=r"^a bug$"):
        train(resolve("mf", "infonce"), dataset)


LARGE = {"model": {"dim": 10**15}}


@pytest.mark.parametrize("start", [assemble, train])
def test_what_cannot_fit_into_memory_is_refused_before_it_is_made(dataset, start):
    with pytest.raises(ConfigError, match=r"^training needs at least .* model\.dim"):
        start(resolve("mf", "adv", **LARGE), dataset, device="cpu")


@pytest.mark.parametrize(
    ("model", "loss", "options", "is_refused"),
    [
        ("mf", "infonce", {}, True),
        ("mf", "infonce", {"negatives": "in_batch"}, False),
        ("mf", "hdccf", {}, False),
        ("lightgcn", "invcf", {}, False),
        ("mf", "invcf", {}, True),  # as the model's entry has it
        ("autocf", "autocf", {}, False),
    ],
)
def test_negatives_count_where_they_are_drawn(
    dataset, model, loss, options, is_refused
):
    many = {"train": {"num_negatives": 10**15}, "loss": options}
    config = resolve(model, loss, **many)
    with pytest.raises(ConfigError, match="at least") if is_refused else nullcontext():
        assemble(config, dataset, device="cpu")


def test_a_custom_loss_without_negatives_is_not_refused(dataset):
    config = resolve("mf", "adv", train={"num_negatives": 10**15})
    assert train(config, dataset, loss=DirectAU()).metrics


def test_a_custom_loss_trains():
    config = Config.resolve("mf", "adv", layers=[{"train": {"epochs": 2}}])
    loss = BPR()
    result = train(config, load_dataset("simulated"), loss=loss)
    assert result.method.loss is loss
    assert not result.method.cosine


def test_a_seed_is_trained_once(tmp_path, monkeypatch):
    config = Config.resolve("mf", "bpr", layers=[{"train": {"epochs": 2}}])
    data, folder = load_dataset("simulated"), tmp_path / "seed-0"
    trained = train_seed(config, data, folder)
    monkeypatch.setattr(experiment, "train", None)  # a call would be an error
    assert train_seed(config, data, folder) == trained


def test_a_seed_of_another_loss_is_not_taken(tmp_path):
    config = Config.resolve("mf", layers=[{"train": {"epochs": 2}}])
    data = load_dataset("simulated")
    for given, other in ((None, BPR()), (BPR(), None)):
        folder = tmp_path / str(other)
        trained = train_seed(config, data, folder, loss=given)
        assert trained.config.custom == (["loss"] if given else [])
        with pytest.raises(CheckpointError, match=r"loss\.name .* -> "):
            train_seed(config, data, folder, loss=other)


@pytest.mark.parametrize("kind", SCORERS)
def test_a_model_without_embeddings_or_loss_is_a_result(kind, dataset, tmp_path):
    config, place = resolve("mf", "bpr"), torch.device("cpu")
    graph = prepare(dataset, place)
    method = untrained(kind(graph))
    trainer = make_trainer(config, method, graph, ())
    result = train(config, dataset, device="cpu", trainer=trainer, out=tmp_path / "run")
    assert (result.best_epoch, result.epochs) == (0, 1)
    evaluator = Evaluator(graph)
    expected = [evaluator.metrics(method.encoder, name) for name in ("valid", "test")]
    assert result.metrics == expected[0] | expected[1]
    assert experiment.evaluate(method, graph, evaluator) == result.metrics
    assert len(result.recommend(k=2)) == 2 * cases.NUM_USERS
    with pytest.raises(ConfigError, match="ranks by scores: use another"):
        result.export(tmp_path / "tables.npz")
    assert not (tmp_path / "tables.npz").exists()


def test_a_graph_in_memory_is_trained_as_its_data_set(tmp_path):
    data = load_dataset("simulated")
    config = Config.resolve("mf", "bpr", layers=[{"train": {"epochs": 1}}])
    expected = train(config, data, device="cpu")
    found = train(config, data.graph, device="cpu", out=tmp_path / "run")
    assert found.metrics == expected.metrics
    assert found.config.data.name == "data in memory"
    assert found.fingerprint.startswith("graph: 290 users")
    loaded = load_run(tmp_path / "run", data=data.graph, device="cpu")
    assert loaded.metrics == expected.metrics
    assert loaded.recommend(["3"], k=2).equals(expected.recommend(["3"], k=2))
    again = load_run(tmp_path / "run", data=found.graph, device="cpu")
    assert again.fingerprint == found.fingerprint
    seed = train_seed(config, data.graph, tmp_path / "run", device="cpu")
    assert seed.value("test/recall@20") == expected.metrics["test/recall@20"]
    trainer = assemble(config, data.graph, device="cpu")
    assert num_nodes(trainer.graph) == (290, 295)


def test_a_run_of_a_name_takes_the_same_data_from_elsewhere(tmp_path):
    data = load_dataset("simulated")
    config = Config.resolve("mf", "bpr", layers=[{"train": {"epochs": 1}}])
    run = train(config, data, device="cpu", out=tmp_path)
    assert load_run(tmp_path, data=data.graph, device="cpu").metrics == run.metrics
    other = load_dataset("simulated", seed=1)
    with pytest.raises(CheckpointError, match="was trained on other data"):
        load_run(tmp_path, data=other, device="cpu")


def test_a_run_in_memory_is_loaded_with_its_own_data_only(tmp_path, graph):
    config = Config.resolve("mf", "bpr", layers=[SMALL, {"train": {"epochs": 1}}])
    train(config, graph, device="cpu", out=tmp_path)
    with pytest.raises(
        ConfigError, match=r"in memory, .* load_run\(folder, data=\.\.\.\)"
    ):
        load_run(tmp_path, device="cpu")
    other = load_dataset("simulated")
    with pytest.raises(CheckpointError, match="was trained on other data: graph: 9 u"):
        load_run(tmp_path, data=other, device="cpu")
    with pytest.raises(GraphError, match="no split 'valid'"):
        load_run(tmp_path, data=message_graph(graph), device="cpu")


def test_a_run_of_a_frame_is_loaded_with_it(tmp_path):
    rows = [(u, i) for u in range(9) for i in range(9) if (u + i) % 3]
    frame = load_dataset(pd.DataFrame(rows, columns=["user", "item"]))
    config = Config.resolve("mf", "bpr", layers=[SMALL, {"train": {"epochs": 1}}])
    run = train(config, frame, device="cpu", out=tmp_path)
    with pytest.raises(ConfigError, match="graph or data frame in memory"):
        load_run(tmp_path, device="cpu")
    assert load_run(tmp_path, data=frame, device="cpu").metrics == run.metrics


def test_an_interrupted_training_on_a_graph_is_resumed(tmp_path, graph):
    config = Config.resolve("mf", "bpr", layers=[SMALL, {"train": {"epochs": 3}}])
    expected = train(config, graph, device="cpu")

    class Stop(Callback):
        def on_epoch_end(self, trainer, record):
            if record.epoch == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, graph, device="cpu", out=tmp_path, callbacks=[Stop()])
    found = train(config, graph, device="cpu", out=tmp_path, resume=True)
    assert found.metrics == expected.metrics


BASELINES = ["popularity", "itemknn", "ease", "ials"]


@pytest.mark.parametrize("model", BASELINES)
def test_a_baseline_is_loaded_without_a_fit(model, dataset, tmp_path, monkeypatch):
    found = train(resolve(model, "none"), dataset, device="cpu", out=tmp_path / "run")
    kind = type(found.method.encoder)
    monkeypatch.setattr(kind, "fit", lambda *_: pytest.fail("computed again"))
    loaded = load_run(tmp_path / "run", data=dataset, device="cpu")
    assert loaded.metrics == found.metrics
    assert loaded.recommend(k=3).equals(found.recommend(k=3))
    if found.method.has_embeddings:
        loaded.export(tmp_path / "tables.npz")
    else:
        with pytest.raises(ConfigError, match="ranks by scores: use another"):
            loaded.export(tmp_path / "tables.npz")
    assert (tmp_path / "tables.npz").exists() == (model == "ials")


@pytest.mark.parametrize("model", BASELINES)
def test_a_baseline_is_trained_on_all_splits(model, dataset):
    refit = resolve(model, "none", train={"refit": True, "epochs": 2})
    found = train(refit, dataset, device="cpu")
    edges = split_edges(merge_splits(dataset.graph), "train")
    assert split_edges(found.graph, "train").equal(edges)
    if model == "popularity":
        degree = torch.bincount(edges[1], minlength=cases.NUM_ITEMS)
        assert found.method.encoder.count.equal(degree)


@pytest.mark.parametrize("model", BASELINES)
def test_a_baseline_takes_no_loss(model, dataset):
    with pytest.raises(ConfigError, match=r"is computed without a loss .* 'none'$"):
        train(resolve(model, "none"), dataset, device="cpu", loss=BPR())


@pytest.mark.parametrize(
    ("model", "needed", "advice"),
    [
        ("itemknn", 2 * 12 * 12 * 12, "lower model.num_neighbors"),
        ("ease", 20 * 12**2, "choose the model itemknn or ials"),
        ("ials", 8 * (9 + 12) * 4, "lower model.dim"),
    ],
)
def test_a_baseline_that_cannot_fit_says_how_much_it_needs(
    model, needed, advice, dataset, monkeypatch
):
    config = resolve(model, "none")
    monkeypatch.setattr(machine, "memory_of", lambda device: needed)
    assemble(config, dataset, device="cpu")
    monkeypatch.setattr(machine, "memory_of", lambda device: needed - 1)
    with pytest.raises(ConfigError, match=f"^training needs at least .*{advice}"):
        assemble(config, dataset, device="cpu")


class Sums(FittedEncoder):
    """A user's embedding counts the user's pairs, an item's the epochs."""

    closed_form = False

    def __init__(self, graph):
        super().__init__()
        self.register_buffer("user", torch.zeros(num_nodes(graph)[0], 1))
        self.register_buffer("item", torch.zeros(num_nodes(graph)[1], 1))

    def fit(self, graph):
        self.user[:, 0] = train_degrees(graph)[0]
        self.item += 1

    def forward(self, graph, *, perturb=None):
        return Embeddings(self.user, self.item, ((self.user, self.item),))


def test_a_custom_encoder_is_fitted_without_a_loss(dataset, tmp_path):
    run = tmp_path / "run"
    config = Config.resolve("mf", layers=[SMALL, {"train": {"epochs": 3}}])
    found = train(config, dataset, device="cpu", model=Sums, out=run)
    assert found.config.loss.name == "none"
    assert found.epochs == 3
    for model in (Sums, None):
        method = load_run(run, data=dataset, device="cpu", model=model).method
        user, item = method.embed(found.graph)
        assert user[:, 0].equal(train_degrees(dataset.graph)[0].float())
        assert item.unique().tolist() == [3.0]
    with pytest.raises(ConfigError, match=r"Sums' is computed without a loss"):
        train(config, dataset, device="cpu", model=Sums, loss=BPR())
