import inspect

import pytest

from pyg_advinfonce.build_method import build_method
from pyg_advinfonce.config import Config
from pyg_advinfonce.registry import MODELS
from pyg_advinfonce.settings import settings
from tests.cases import toy_graph

PAIRS = [(model, loss) for model, entry in MODELS.items() for loss in entry.losses]

every_pair = pytest.mark.parametrize(("model", "loss"), PAIRS)


def by_name(model, loss, dataset="none", **options):
    config = Config.resolve(model, loss, dataset, **options)
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
    objectives = (m.phases[-1].objective for m in (full, method))
    weights = [getattr(objective, "weights", None) for objective in objectives]
    assert weights[0] == weights[1]


def test_values_that_are_set_are_told_from_defaults():
    found = by_name("lightgcn", "adv", layers=[{"loss": {"tau": 0.3}}])
    assert (found["loss.tau"].value, found["loss.tau"].is_set) == (0.3, True)
    assert (found["loss.reverse"].value, found["loss.reverse"].is_set) == (False, False)
    assert not found["train.lr"].is_set
    assert by_name("lightgcn", "adv", "coat")["train.patience"].is_set is False


def test_a_builder_s_default_is_the_one_that_counts():
    assert by_name("sgl", "bpr")["encoder.num_layers"].value == 3
    assert by_name("mf", "bpr")["encoder.num_layers"].value == 0
    assert by_name("lightgcn", "bpr")["encoder.num_layers"].value == 2


def test_what_follows_the_encoder_s_width():
    layers = [{"encoder": {"dim": 16}}]
    assert by_name("mf", "adv", layers=layers)["hardness.dim"].value == 16
    assert by_name("mf", "bc", layers=layers)["loss.dim"].value == 16
    assert by_name("mf", "bc")["loss.dim"].value == 64


def test_the_kinds_of_hardness_are_named():
    kind = by_name("mf", "adv-mlp")["hardness.kind"]
    assert (kind.value, kind.is_set) == ("mlp", True)
    assert kind.meaning == "One of uniform, embedding, mlp, random."


def test_the_data_s_arguments_are_shown_where_they_are_set():
    found = by_name("mf", "bpr", layers=[{"data": {"valid_fraction": 0.1}}])
    assert found["data.valid_fraction"].value == 0.1


def test_every_field_of_training_is_there():
    names = {name for name in by_name("mf", "bpr") if name.startswith("train.")}
    fields = inspect.signature(type(Config.resolve("mf").train)).parameters
    assert names == {f"train.{field}" for field in fields}
