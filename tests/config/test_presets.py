"""Presets: what each chooses, and that every choice changes what a run computes."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from pyg_advinfonce.build import build_method, make_trainer
from pyg_advinfonce.config import PRESETS, Config, packaged, setting_values
from pyg_advinfonce.config.config import SECTIONS
from pyg_advinfonce.config.presets import Choice, preset
from pyg_advinfonce.errors import UnknownNameError
from pyg_advinfonce.objective import Step
from pyg_advinfonce.registry import LOSSES, MODELS, NO_LOSS
from tests import cases

DECISIONS = Path(__file__).parents[2] / "docs" / "decisions.md"
PAIRS = [(m, loss) for m, entry in MODELS.items() for loss in entry.losses]


@dataclass(frozen=True)
class Row:
    """One decision, a run that it concerns, and what the preset chooses there.

    Attributes:
        decision: Its name in the presets and in ``docs/decisions.md``.
        preset: The preset that departs from the default.
        model: The run's model.
        loss: The run's loss.
        chosen: The preset's settings.
        also: Settings of both runs, with which the choice matters on toy data.
        epoch: The epoch to look at.
    """

    decision: str
    preset: str
    model: str
    loss: str
    chosen: Mapping[str, Mapping[str, Any]]
    also: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    epoch: int = 0

    @property
    def id(self):
        return f"{self.decision}-{self.preset}-{self.model}-{self.loss}"

    def resolve(self, *layers, preset="default"):
        """Return the run's configuration for the toy graph."""
        return resolve(self.model, self.loss, self.also, *layers, preset=preset)


def loss_row(decision, preset, loss, key, value, *, model="lightgcn", **more):
    return Row(decision, preset, model, loss, {"loss": {key: value}}, **more)


def train_row(decision, model, loss, **train):
    return Row(decision, "faithful", model, loss, {"train": train})


KEPT = {"drop_last": False}
PLAIN = {"l2_norm": "plain"}
SELFREC = {**PLAIN, "l2_negatives": False, "l2_reduction": "sum", "l2_rows": "final"}
IN_BATCH = {"loss": {"negatives": "in_batch"}}
CONTRASTIVE = ("sgl", "ncl", "simgcl", "xsimgcl", "lightgcl")
UNIFORM = {"model": {"init": "uniform"}}
SUM = {"l2_reduction": "sum"}

# All that a preset chooses, but what yields to packaged settings: the page's table of
# defaults has that.
ROWS = (
    *(
        Row("D1", "faithful", "lightgcn", loss, {"train": {"l2_negatives": True}})
        for loss in (
            *("infonce", "adv", "adv-mlp", "rand", "adv-reverse"),
            *("adap-tau", "sdro"),
        )
    ),
    loss_row("D2", "faithful", "adv", "hardness_l2", 1e-5),
    loss_row("D2", "faithful", "adv-reverse", "hardness_l2", 1e-5),
    loss_row("D3", "faithful", "adv", "schedule", "algorithm1"),
    loss_row("D3", "faithful", "adv-mlp", "schedule", "algorithm1"),
    loss_row("D3", "faithful", "adv-reverse", "schedule", "algorithm1"),
    *(
        train_row("D4", model, loss, sampling="interaction")
        for model, loss in (
            *((model, "bpr") for model in CONTRASTIVE),
            *(("mf", loss) for loss in ("adap-tau", "directau")),
        )
    ),
    Row(
        *("D5", "faithful", "lightgcn", "adv-mlp"),
        {"hardness": {"input": "final", "activation": "none"}},
    ),
    Row("D6", "repro", "mf", "bpr", {"train": {"patience": 10}}),
    loss_row("D8", "faithful", "adap-tau", "positive_in_denominator", False),
    # In one dimension half of the angles are pi, where the cap matters.
    loss_row("D9", "repro", "bc", "capped", False, also={"model": {"dim": 1}}),
    Row(
        *("D10", "repro", "ncl", "bpr", {"model": {"prototypes": "batch"}}),
        epoch=30,  # after the warm-up
    ),
    Row("D11", "repro", "sgl", "bpr", {"model": {"candidates": "batch"}}),
    Row(*("3.1", "repro", "sgl", "bpr"), {"model": {"weight": 0.2, "tau": 0.15}}),
    *(
        Row(
            *("0.2", "repro", model, "bpr"),
            {"model": {"num_layers": 2}, "train": {"l2": 1e-5}},
        )
        for model in ("sgl", "ncl")
    ),
    loss_row("D13", "faithful", "sdro", "scale_by_batch", True),
    *(
        Row("0.2", "faithful", model, loss, UNIFORM)
        for model, loss in (
            *((model, "bpr") for model in CONTRASTIVE),
            *(("autocf", "autocf"), ("mf", "adap-tau"), ("lightgcn", "adap-tau")),
        )
    ),
    *(
        train_row("0.3", model, loss, **KEPT)
        for model, loss in (
            *((model, "bpr") for model in CONTRASTIVE if model != "ncl"),
            *(("autocf", "autocf"), ("ultragcn", "bce"), ("mf", "xir"), ("mf", "bir")),
        )
    ),
    train_row("0.3", "mf", "adap-tau", **KEPT, exclude_positives=False),
    train_row("0.5", "ncl", "bpr", **PLAIN),
    train_row("0.5", "simgcl", "bpr", **SELFREC),
    train_row("0.5", "xsimgcl", "bpr", **SELFREC),
    train_row("0.5", "lightgcn", "adap-tau", l2_rows="layers"),
    Row(
        *("0.5", "faithful", "lightgcn", "invcf", {"train": SUM, "loss": SUM}),
        also={"loss": {"lam1": 1.0, "l2": 1.0}},
    ),
    Row(
        *("1.3", "faithful", "ultragcn", "bce"),
        {"model": {"item_graph": "paper"}, "train": {"num_negatives": 800}},
    ),
    loss_row("2.2", "faithful", "infonce", "mask_hits", False, also=IN_BATCH),
    loss_row("2.2", "faithful", "sdro", "mask_hits", False, also=IN_BATCH),
    loss_row("2.2", "faithful", "invcf", "mask_hits", False),
    loss_row("2.5", "repro", "adap-tau", "unseen", "zero"),
    Row(
        *("2.5", "faithful", "lightgcn", "adap-tau"),
        {"loss": {"warm_up": "gap", "unseen": "zero"}},
    ),
    Row(
        *("2.11", "faithful", "lightgcn", "xir"),
        {"loss": {"cosine": False, "tau": 1.0, "cache_q": "occurrence"}},
    ),
    Row(
        *("2.11", "faithful", "lightgcn", "bir"),
        {"loss": {"cosine": False, "tau": 1.0}},
    ),
    loss_row("2.13", "faithful", "invcf", "cosine", False),
    train_row("2.14", "mf", "directau", l2=1e-6),
    Row("3.1", "faithful", "sgl", "bpr", {"model": {"anchors": "edges"}}),
    Row(
        *("3.8", "faithful", "lightgcl", "bpr"),
        {
            "model": {"with_negatives": True, "weight": 0.2, "tau": 0.2},
            "train": {"l2": 1e-7},
        },
    ),
)


every_row = pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])


def small(model):
    """Return the settings of a model for the toy graph, by section."""
    return {"model": {**cases.width(model, cases.DIM), **cases.SMALL.get(model, {})}}


def resolve(model, loss, *layers, preset="default"):
    train = {"train": {"batch_size": 7}}  # of 24 pairs: three batches and a rest
    layers = [train, small(model), *layers]
    return Config.resolve(model, loss, "none", preset=preset, layers=layers)


def behaviour(config, epoch=0):
    """Return what a run does: its batches, its phases, their epochs and losses."""
    graph = cases.toy_graph()
    method = build_method(config, graph)
    trainer = make_trainer(config, method, graph, ())
    torch.manual_seed(3)
    batches = [
        [index.tolist() for index in (b.src_index, b.dst_pos_index, b.dst_neg_index)]
        for _, b in trainer.sampler
    ]
    found = [trainer.stopping.patience, method.cosine, batches]
    step = cases.toy_batch(seed=2)  # with a user and an item that repeat
    for phase in method.phases:
        found.append((phase.name, [e for e in range(40) if phase.active(e)]))
        for number in (epoch, epoch + 1):  # some losses remember the epoch before
            torch.manual_seed(3)
            phase.objective.on_epoch_start(method.encoder, graph, number)
            method.train()
            parts = phase.objective(Step(method.encoder, graph, step, number, 0))
            found.append({name: part.item() for name, part in parts.items()})
    return found


def concern(row):
    """Return what the preset chooses in the row's decision for the row's run."""
    found = {}
    for choice in PRESETS[row.preset]:
        is_asked = choice.decision == row.decision and not choice.fallback
        if is_asked and choice.concerns(row.model, row.loss, "none"):
            for section, keys in choice.sections.items():
                found[section] = {**found.get(section, {}), **keys}
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_the_presets_choose_what_the_decisions_say(row):
    assert concern(row) == row.chosen


def test_every_choice_has_a_row_for_each_of_its_losses_and_models():
    rows = {(row.preset, row.decision, row.model, row.loss) for row in ROWS}
    rows |= {(*row[:2], None, row[3]) for row in rows}
    rows |= {(*row[:3], None) for row in rows}
    for name, choices in PRESETS.items():
        for choice in choices:
            for loss in () if choice.fallback else choice.losses or (None,):
                for model in choice.models or (None,):
                    assert (name, choice.decision, model, loss) in rows


@every_row
def test_a_preset_resolves_to_what_it_chooses(row):
    default, chosen = row.resolve(), row.resolve(preset=row.preset)
    built = setting_values(default)
    for section, keys in row.chosen.items():
        after = dict(getattr(chosen, section))
        assert {key: after[key] for key in keys} == dict(keys)
        assert all(built[f"{section}.{key}"] != value for key, value in keys.items())


@every_row
def test_every_choice_changes_the_loss_or_the_schedule(row):
    before = behaviour(row.resolve(), row.epoch)
    assert before == behaviour(row.resolve(), row.epoch)
    for section, keys in row.chosen.items():
        for key, value in keys.items():
            config = row.resolve({section: {key: value}})
            assert behaviour(config, row.epoch) != before, key


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize(("model", "loss"), PAIRS)
def test_every_pair_can_be_built_by_every_preset(model, loss, name):
    config = resolve(model, loss, preset=name)
    method = build_method(config, cases.toy_graph())
    assert bool(method.phases) == (loss != NO_LOSS)


@pytest.mark.parametrize("data", ["coat", "tencent", "simulated:4", "gowalla"])
@pytest.mark.parametrize(("model", "loss"), PAIRS)
def test_the_default_preset_changes_nothing_on_data_with_packaged_settings(
    model, loss, data
):
    assert preset("default", model, loss, data) == {}


def test_data_without_packaged_settings_has_those_tuned_on_ml_1m():
    tuned = {"batch_size": 2048, "lr": 5e-3}
    assert preset("default", "lightgcn", "bpr", "mine") == {"train": tuned}
    assert preset("default", "xsimgcl", "bpr", "mine") == {"train": tuned}
    with_negatives = {"train": {**tuned, "num_negatives": 128}}
    for loss in ("infonce", "adv", "adv-mlp", "adv-reverse", "rand"):
        assert preset("default", "mf", loss, "mine") == with_negatives
    assert preset("default", "sgl", "bpr", "mine") == {}
    assert preset("default", "lightgcn", "bc", "mine") == {}
    config = Config.resolve("mf", "adv", "mine")
    assert dict(config.train).items() >= with_negatives["train"].items()
    assert Config.resolve("mf", "adv", "mine", preset="faithful").train.lr == 1e-3


def test_a_preset_leaves_alone_what_it_does_not_concern():
    assert preset("faithful", "mf", "bpr", "coat") == {}
    patience = {"train": {"patience": 10}}
    assert preset("repro", "ultragcn", "adv", "tencent") == {}
    assert preset("repro", "simgcl", "adv", "coat") == patience
    assert preset("faithful", "mf", "rand", "coat") == {"train": {"l2_negatives": True}}


@pytest.mark.parametrize("loss", [loss for loss, e in LOSSES.items() if e.general])
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_no_argument_of_a_custom_model(name, loss):
    assert "model" not in preset(name, "my_module:build", loss, "coat")


def test_a_preset_is_a_fresh_layer_of_sections():
    for name, choices in PRESETS.items():
        assert {s for choice in choices for s in choice.sections} <= set(SECTIONS)
        for model, loss in PAIRS:
            preset(name, model, loss, "coat").setdefault("loss", {})["tau"] = 0
    assert "tau" not in preset("faithful", "mf", "adv", "coat")["loss"]


def test_choices_in_one_section_are_put_together():
    assert preset("faithful", "mf", "adv", "coat") == {
        "loss": {"hardness_l2": 1e-5, "schedule": "algorithm1"},
        "train": {"l2_negatives": True},
    }
    adap_tau = {"positive_in_denominator": False, "warm_up": "gap"}
    assert preset("faithful", "mf", "adap-tau", "coat")["loss"].items() >= (
        adap_tau.items()
    )


OFFICIAL = {
    "train": {"batch_size": 2048, "lr": 5e-4, "num_negatives": 128},
    "loss": {"tau": 0.1, "adversary_lr": 5e-5, "adversary_epochs": 7},
}


def test_other_repositories_defaults_yield_to_packaged_settings():
    chosen = Config.resolve("mf", "adv", "none", preset="repro")
    for section, keys in OFFICIAL.items():
        assert dict(getattr(chosen, section)).items() >= keys.items()
    assert packaged("coat", "mf", "adv")
    default = Config.resolve("mf", "adv", "coat")
    on_coat = Config.resolve("mf", "adv", "coat", preset="repro")
    assert on_coat.loss == default.loss
    changed = on_coat.train.model_copy(update={"patience": default.train.patience})
    assert changed == default.train
    # One by one: this file has no tau.
    assert "tau" not in packaged("tencent", "mf", "bpr").get("loss", {})
    partly = Config.resolve("mf", "bpr", "tencent", preset="repro").train
    assert (partly.batch_size, partly.lr, partly.num_negatives) == (2048, 1e-3, 1)


def test_what_is_set_wins_over_other_repositories_defaults():
    own = {"train": {"batch_size": 12}, "loss": {"tau": 0.3}}
    config = Config.resolve("mf", "adv", "none", preset="repro", layers=[own])
    assert (config.train.batch_size, config.loss.options["tau"]) == (12, 0.3)


def test_a_preset_lies_between_the_packaged_file_and_the_layers():
    packaged = Config.resolve("mf", "adv", "coat")
    chosen = Config.resolve("mf", "adv", "coat", preset="repro")
    assert (packaged.train.patience, chosen.train.patience) == (20, 10)
    assert chosen.loss == packaged.loss
    own = {"train": {"patience": 3}, "loss": {"schedule": "official"}}
    for name in PRESETS:
        config = Config.resolve("mf", "adv", "coat", preset=name, layers=[own])
        assert config.train.patience == 3
        assert config.loss.options["schedule"] == "official"


def test_the_published_commands_wait_longer_on_tencent_alone():
    def patience(data):
        return Config.resolve("mf", "adv", data, preset="repro").train.patience

    assert patience("tencent") == 20
    assert {patience(d) for d in ("coat", "yahoo", "kuairec", "simulated")} == {10}


def test_an_unknown_preset_is_an_error_with_a_hint():
    with pytest.raises(UnknownNameError, match="did you mean 'faithful'"):
        Config.resolve("mf", "adv", "coat", preset="faithfull")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice("D", {}), True),
        (Choice("D", {}, losses=("adv", "bpr")), True),
        (Choice("D", {}, losses=("bpr",)), False),
        (Choice("D", {}, models=("mf",)), True),
        (Choice("D", {}, models=("ncl",)), False),
        (Choice("D", {}, losses=("adv",), models=("ncl",)), False),
        (Choice("D", {}, not_on=("coat",)), False),
        (Choice("D", {}, not_on=("tencent",)), True),
    ],
)
def test_whom_a_choice_concerns(choice, expected):
    assert choice.concerns("mf", "adv", "coat") is expected


def table(title):
    """Return the rows of a table in the page of decisions, by their first cell."""
    text = DECISIONS.read_text(encoding="utf-8").split(f"## {title}\n")[1]
    lines = [line for line in text.split("\n## ")[0].splitlines() if line[:2] == "| "]
    rows = [[cell.strip() for cell in line[2:-2].split(" | ")] for line in lines]
    assert {len(row) for row in rows} == {len(rows[0])}
    found = {}
    for name, *cells in rows[1:]:  # several rows may belong to one section
        found[name] = [*found.get(name, []), *cells]
    return found


def test_the_page_has_every_decision():
    names = list(table("Decisions"))
    assert names == [f"D{k}" for k in range(1, 18)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_the_page_names_the_options_and_the_preset(row):
    rows = table("Decisions") | table("Smaller ones")
    text = " ".join(rows[row.decision])
    for section, keys in row.chosen.items():
        for key, value in keys.items():
            shown = str(value).lower() if isinstance(value, bool) else str(value)
            named = re.escape(f"`{section}.{key}={shown}`")
            assert re.search(rf"{named} \([^)]*\b{row.preset}\b", text), key


def test_every_option_on_the_page_exists():
    found = re.findall(r"`(\w+)\.(\w+)=", DECISIONS.read_text(encoding="utf-8"))
    assert {section for section, _ in found} <= set(SECTIONS)
    known = {key for row in ROWS for keys in row.chosen.values() for key in keys}
    targets = [entry.load() for entry in (*MODELS.values(), *LOSSES.values())]
    for target in targets:
        known |= set(inspect.signature(target).parameters)
    known |= set(Config.model_fields["train"].annotation.model_fields) | {"normalized"}
    encoders = [entry.load_encoder() for entry in MODELS.values()]
    known |= {key for kind in encoders for key in inspect.signature(kind).parameters}
    assert {key for _, key in found} <= known
