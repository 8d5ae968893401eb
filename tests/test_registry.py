import re
from functools import partial

import pytest
from torch import nn

from pyg_advinfonce.errors import ConfigError, UnknownNameError
from pyg_advinfonce.registry import (
    DATASETS,
    LOSSES,
    MODELS,
    check_pair,
    custom_name,
    default_loss,
    is_custom,
    pair_settings,
    resolve,
    unknown,
)
from tests.cases import TRAINED

TABLES = {"model": MODELS, "loss": LOSSES, "dataset": DATASETS}
ENTRIES = [(kind, name) for kind, table in TABLES.items() for name in table]


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_entry_names_something_that_can_be_called(kind, name):
    assert callable(resolve(kind, name))


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_entry_has_one_line_of_help(kind, name):
    text = TABLES[kind][name].help
    assert text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_an_encoder(name):
    assert callable(MODELS[name].load_encoder())


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_names_can_be_typed(kind, name):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_a_slip_finds_the_name(kind, name):
    with pytest.raises(UnknownNameError, match="did you mean '"):
        resolve(kind, f"{name}x")


def test_an_unknown_name_comes_with_a_suggestion_and_the_choices():
    assert str(unknown("fruit", "aple", ["apple", "pear"])) == (
        "unknown fruit 'aple', did you mean 'apple'? choose from apple, pear"
    )


def test_without_a_close_name_there_is_no_suggestion():
    assert str(unknown("fruit", "xyz", iter(["apple", "pear"]))) == (
        "unknown fruit 'xyz'; choose from apple, pear"
    )


def test_capital_letters_are_a_slip():
    with pytest.raises(UnknownNameError, match="did you mean 'lightgcn'"):
        resolve("model", "LightGCN")


def test_a_slip_of_a_loss_names_those_that_the_model_takes():
    with pytest.raises(UnknownNameError, match=r"choose from bpr, infonce, adv$"):
        check_pair("sgl", "avd")


def test_custom_code_is_named_by_module_and_attribute():
    here = __name__
    assert custom_name(nn.Linear) == "torch.nn.modules.linear:Linear"
    assert custom_name(nn.Linear(1, 1)) == "torch.nn.modules.linear:Linear"
    assert custom_name(partial(partial(tidy), 3)) == f"{here}:tidy"
    assert custom_name(Named.build) == f"{here}:Named.build"
    assert custom_name(lambda: 0).startswith(f"{here}:")


def tidy():
    """A function with an attribute ``func``, which is not part of its name."""


tidy.func = nn.Linear


class Named:
    func = tidy

    @classmethod
    def build(cls):
        pass


def test_an_attribute_func_names_nobody():
    assert custom_name(tidy) == f"{__name__}:tidy"
    assert custom_name(Named()) == custom_name(Named) == f"{__name__}:Named"


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_no_name_of_ours_is_custom(kind, name):
    assert not is_custom(name)
    assert is_custom(f"{name}:{kind}")


@pytest.mark.parametrize("loss", [*LOSSES, "none", "a:B", None])
def test_a_custom_model_takes_any_loss(loss):
    check_pair("my_module:build", loss)


@pytest.mark.parametrize("model", TRAINED)
def test_any_model_with_a_loss_takes_a_custom_one(model):
    check_pair(model, "my_module:MyLoss")
    assert pair_settings(model, "my_module:MyLoss") == ({}, {})
    with pytest.raises(UnknownNameError, match="unknown loss 'none'"):
        check_pair(model, "none")


@pytest.mark.parametrize("model", ["popularity", "itemknn", "ease", "ials"])
def test_a_model_without_a_loss_takes_none(model):
    check_pair(model, "none")
    assert default_loss(model) == "none"
    for loss in ("my_module:MyLoss", "bpr"):
        with pytest.raises(ConfigError, match=r"does not accept .*: choose from none$"):
            check_pair(model, loss)
    with pytest.raises(UnknownNameError, match="unknown loss 'bprr'"):
        check_pair(model, "bprr")


def test_beside_custom_code_names_are_checked():
    with pytest.raises(UnknownNameError, match="did you mean 'lightgcn'"):
        check_pair("lightgnc", "my_module:MyLoss")
    with pytest.raises(UnknownNameError, match="did you mean 'bpr'"):
        check_pair("my_module:build", "bprr")
    with pytest.raises(ConfigError, match="does not accept"):
        check_pair("sgl", "ccl")


def test_a_custom_model_has_the_paper_s_loss_with_its_settings():
    assert default_loss("my_module:build") == "adv"
    assert pair_settings("my_module:build", "bpr") == (LOSSES["bpr"].options, {})


@pytest.mark.parametrize(
    ("table", "name", "expected"),
    [
        (LOSSES, "advinfonce", "adv"),
        (LOSSES, "AdvInfoNCE", "adv"),
        (LOSSES, "bayesian personalized ranking", "bpr"),
        (LOSSES, "adapt_tau", "adap-tau"),
        (LOSSES, "infonc", "infonce"),
        (MODELS, "matrix factorization", "mf"),
        (MODELS, "Light-GCNN", "lightgcn"),
        (MODELS, "ligthgcl", "lightgcl"),
        (DATASETS, "Yahoo!R3", "yahoo"),
        (["a-b", "c"], "ab", "a-b"),
    ],
)
def test_a_name_is_suggested_by_its_long_form(table, name, expected):
    said = str(unknown("name", name, table))
    assert said.startswith(f"unknown name '{name}', did you mean '{expected}'? choose ")


def test_a_name_like_no_other_gets_no_suggestion():
    said = str(unknown("loss", "zzz", LOSSES))
    assert said.startswith("unknown loss 'zzz'; choose from bpr, infonce, ")
