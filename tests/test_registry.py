import re

import pytest

from pyg_advinfonce.errors import UnknownNameError
from pyg_advinfonce.registry import (
    DATASETS,
    LOSSES,
    MODELS,
    check_pair,
    resolve,
    unknown,
)

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
