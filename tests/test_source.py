import inspect
from importlib import import_module

import pytest

from pyg_advinfonce.registry import HARDNESS, LOSSES, MODELS
from pyg_advinfonce.source import described

ENTRIES = [entry for table in (LOSSES, HARDNESS, MODELS) for entry in table.values()]
TARGETS = sorted(
    {"losses:build_hardness"}
    | {entry.target for entry in ENTRIES}
    | {entry.encoder for entry in ENTRIES if entry.encoder}
)
INHERITED = ["losses:UniformHardness"]


def loaded(target):
    module, name = target.split(":")
    return getattr(import_module(f"pyg_advinfonce.{module}"), name)


def arguments(target):
    found = inspect.signature(target).parameters.values()
    return [(one.name, one.kind, one.default) for one in found]


def hints(target):
    """Return the annotations of the arguments with a default, which may be settings."""
    function = target.__init__ if inspect.isclass(target) else target
    known = inspect.get_annotations(function, eval_str=True)
    named = inspect.signature(target).parameters
    return {k: v for k, v in known.items() if k in named and named[k].default != v}


@pytest.mark.parametrize("target", TARGETS)
def test_a_stand_in_has_the_arguments_and_the_docstring(target):
    real, found = loaded(target), described(target)
    assert arguments(found) == arguments(real)
    assert inspect.getdoc(found) == inspect.getdoc(real)
    assert (found is real) == (target in INHERITED)
    settings = {n for n, _, default in arguments(real) if default is not inspect._empty}
    kept, known = hints(found), hints(real)
    assert {n: kept.get(n) for n in settings} == {n: known.get(n) for n in settings}


def test_a_target_that_does_not_exist_is_an_error():
    with pytest.raises(AttributeError, match="Nothing"):
        described("losses:Nothing")
