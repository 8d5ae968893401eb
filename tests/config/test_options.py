import inspect
import json
import tomllib

import pytest

from pyg_advinfonce.build import build_method
from pyg_advinfonce.config import (
    Config,
    check_keys,
    setting_values,
    settings,
    settings_toml,
)
from pyg_advinfonce.errors import ConfigError, UnknownNameError
from pyg_advinfonce.registry import MODELS
from tests.cases import toy_graph

PAIRS = [(model, loss) for model, entry in MODELS.items() for loss in entry.losses]

every_pair = pytest.mark.parametrize(("model", "loss"), PAIRS)


def by_name(model, loss, data="none", **options):
    config = Config.resolve(model, loss, data, **options)
    return {setting.name: setting for setting in settings(config)}


@every_pair
def test_every_setting_has_a_meaning_without_markup(model, loss):
    for setting in by_name(model, loss).values():
        assert setting.meaning, setting.name
        assert not set("`\\") & set(setting.meaning)


@every_pair
def test_to_set_all_of_them_as_they_are_changes_nothing(model, loss):
    """So no setting is missing, none is unknown and every value is the real one."""
    plain = Config.resolve(model, loss, "none", layers=[{"train": {"batch_size": 4}}])
    layer = {}
    for setting in settings(plain):
        section, key = setting.name.split(".")
        if setting.value is not None:
            layer.setdefault(section, {})[key] = setting.value
    graph = toy_graph()
    full = build_method(plain.updated(layer), graph)
    method = build_method(plain, graph)
    assert repr(full) == repr(method)
    for name, value in method.state_dict().items():
        assert full.state_dict()[name].equal(value), name
    assert plain_attributes(full) == plain_attributes(method)
    assert [[p.active(e) for e in range(60)] for p in full.phases] == [
        [p.active(e) for e in range(60)] for p in method.phases
    ]


def plain_attributes(method):
    """Return the numbers and names that all modules of a method hold."""
    kinds = (bool, int, float, str)
    modules = dict(method.named_modules())
    if method.phases:  # a model without a loss has none
        modules["main"] = method.phases[-1].objective
    return {
        (name, key): value
        for name, module in modules.items()
        for key, value in vars(module).items()
        if isinstance(value, kinds) or key in ("weights", "alpha")
    }


@pytest.mark.parametrize(
    ("model", "layer"),
    [
        ("simgcl", {"model": {"noise": 0.9}}),
        ("simgcl", {"model": {"first_layer": 0}}),
        ("sgl", {"model": {"tau": 0.9}}),
        ("dcl", {"model": {"message_drop": 0.5}}),
        ("mf", {"loss": {"tau": 0.9}}),
        ("xsimgcl", {"model": {"weight": 0.9}}),
    ],
)
def test_plain_attributes_tell_other_values_apart(model, layer):
    layers = [{"train": {"batch_size": 4}}]
    graph, config = toy_graph(), Config.resolve(model, data="none", layers=layers)
    other, method = (build_method(c, graph) for c in (config.updated(layer), config))
    assert plain_attributes(other) != plain_attributes(method)


def test_other_values_are_told_from_defaults():
    layer = {"loss": {"tau": 0.3, "reverse": False}, "train": {"lr": 0.1, "l2": 1e-5}}
    found = by_name("lightgcn", "adv", layers=[layer])
    assert (found["loss.tau"].value, found["loss.tau"].is_default) == (0.3, False)
    assert (found["train.lr"].value, found["train.lr"].is_default) == (0.1, False)
    for same in ("loss.reverse", "loss.schedule", "train.l2", "train.epochs"):
        assert found[same].is_default


def test_an_unknown_kind_of_hardness():
    with pytest.raises(UnknownNameError, match=r"unknown hardness.kind 'mpl'"):
        by_name("mf", "adv", layers=[{"hardness": {"kind": "mpl"}}])


def test_a_builder_s_default_is_the_one_that_counts():
    assert by_name("sgl", "bpr")["model.num_layers"].value == 3
    assert by_name("mf", "bpr")["model.num_layers"].value == 0
    assert by_name("lightgcn", "bpr")["model.num_layers"].value == 2


def test_what_follows_the_encoder_s_width():
    layers = [{"model": {"dim": 16}}]
    assert by_name("mf", "adv", layers=layers)["hardness.dim"].value == 16
    assert by_name("mf", "bc", layers=layers)["loss.dim"].value == 16
    assert by_name("mf", "bc")["loss.dim"].value == 64


def test_the_kinds_of_hardness_are_named():
    kind = by_name("mf", "adv-mlp")["hardness.kind"]
    assert (kind.value, kind.is_default) == ("mlp", False)
    assert kind.meaning == "One of uniform, embedding, mlp, random."


def test_the_data_s_arguments_are_shown_where_they_are_set():
    found = by_name("mf", "bpr", layers=[{"data": {"valid_fraction": 0.1}}])
    assert found["data.valid_fraction"].value == 0.1


def test_every_field_of_training_is_there():
    names = {name for name in by_name("mf", "bpr") if name.startswith("train.")}
    fields = inspect.signature(type(Config.resolve("mf").train)).parameters
    assert names == {f"train.{field}" for field in fields}


def test_values_are_those_of_the_settings():
    config = Config.resolve("lightgcn", "adv", "coat")
    found = setting_values(config)
    assert found == {setting.name: setting.value for setting in settings(config)}
    assert found["model.dim"] == 64
    assert found.items() >= config.chosen.items()


@pytest.mark.parametrize("data", ["simulated", "tencent"])
@every_pair
def test_all_settings_as_a_file_are_read_back_unchanged(model, loss, data):
    config = Config.resolve(model, loss, data, preset="repro")
    text = settings_toml(config, settings(config))
    found = Config.resolve(model, loss, data, layers=[tomllib.loads(text)])
    check_keys(found)
    assert json.dumps(setting_values(found)) == json.dumps(setting_values(config))
    assert found.train == config.train
    assert max(map(len, text.splitlines())) <= 80


def test_a_file_of_settings_says_what_they_mean_and_may_be():
    config = Config.resolve("mf", "sdro", "coat", layers=[{"train": {"lr": 0.5}}])
    text = settings_toml(config, settings(config))
    assert (
        "# The learning rate at the start of training.\n"
        "# a number above 0; default: 0.001\nlr = 0.5\n" in text
    )
    assert '# one of "full", "neighbor"; default: "full"\nloader = "full"\n' in text
    assert "a list, each a number; default: [0.6, 0.8]\nthresholds = [0.6, 0.8]" in text
    assert "default: not set\n# metrics =\n" in text
    assert "# a whole number of at least 0 or" not in text


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ({"loss": {"taw": 1.0}}, "did you mean 'loss.tau'"),
        ({"loss": {"tau": "x"}}, "loss.tau: input should be a valid number"),
        (
            {"model": {"init": "no"}},
            "model.init: input should be 'normal' or 'uniform'",
        ),
        ({"model": {"lr": 1.0}}, "unknown key 'model.lr'"),
        ({"hardness": {"kind": "no"}}, "unknown hardness.kind 'no'"),
        ({"hardness": {"dims": 3}}, "did you mean 'hardness.dim'"),
    ],
)
def test_keys_are_checked_before_anything_is_built(layer, said):
    config = Config.resolve("lightgcn", "adv", layers=[layer])
    with pytest.raises(ConfigError, match=said):
        check_keys(config)
