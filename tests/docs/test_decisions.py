"""The table of defaults on the page of decisions is that of ``advnce settings``."""

import json
import re
from pathlib import Path

import pytest
from pyg_advinfonce.cli.main import app
from typer.testing import CliRunner

from pyg_advinfonce.registry import LOSSES, MODELS
from tests.cases import TRAINED

PAGE = (Path(__file__).parents[2] / "docs/decisions.md").read_text("utf-8")
PRESETS = ("default", "repro", "faithful")

METHODS = {
    **{loss: ("lightgcn", loss) for loss, entry in LOSSES.items() if entry.general},
    **{
        model: (model, next(iter(entry.losses)))
        for model, entry in TRAINED.items()
        if model not in ("mf", "lightgcn")
    },
}
"""The model and the loss of each method, by its name in the table."""


def rows():
    """Return the table's rows by column."""
    lines = PAGE.split("## Defaults\n")[1].split("\n## ")[0].splitlines()
    table = [
        [cell.strip(" `") for cell in line[2:-2].split(" | ")]
        for line in lines
        if line.startswith("| ")
    ]
    names, *cells = table
    return [dict(zip(names, row, strict=True)) for row in cells]


def shown(value):
    """Write a value as the table does."""
    if value is None:
        return "none"
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def settings_of(method, preset):
    """Return what ``advnce settings --json`` prints, without packaged settings."""
    model, loss = METHODS.get(method, method)
    words = ["settings", model, "--loss", loss, "--data", "none", "--preset", preset]
    result = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    return json.loads(result.stdout)


def row_of(setting, method):
    """Return the row that names the method, else that of ``others`` or of ``all``."""
    found = [row for row in rows() if row["Setting"] == setting]
    named = [row for row in found if method in row["Methods"].split(", ")]
    [row] = named or [row for row in found if row["Methods"] in ("others", "all")]
    return row


@pytest.mark.parametrize("method", METHODS)
def test_every_default_is_in_the_table(method):
    for preset in PRESETS:
        for setting, value in settings_of(method, preset).items():
            assert row_of(setting, method)[preset] == shown(value), setting


@pytest.mark.parametrize("model", sorted(set(MODELS) - set(TRAINED)))
def test_the_defaults_of_a_baseline_are_those_of_the_methods(model):
    """No preset changes them, and they equal the table in section 1.5."""
    text = (Path(__file__).parents[2] / "docs/methods.md").read_text("utf-8")
    found = dict(re.findall(rf"^\| `([\w.]+)` \(`{model}`\) \| (\S+) \|", text, re.M))
    for preset in PRESETS:
        values = settings_of((model, "none"), preset)
        own = {k for k in values if k.startswith("model.")} | set(found)
        assert found == {key: shown(values[key]) for key in own}


def test_every_row_is_of_a_setting_that_its_methods_have():
    known = {method: settings_of(method, "default") for method in METHODS}
    for row in rows():
        named = row["Methods"].split(", ")
        if named in (["others"], ["all"]):
            named = [method for method in METHODS if row["Setting"] in known[method]]
            named = [m for m in named if row_of(row["Setting"], m) == row]
        assert named, row
        assert all(row["Setting"] in known[method] for method in named), row


def test_no_cell_is_empty_and_every_difference_is_explained():
    for row in rows():
        assert all(row.values()), row
        values = {row[preset] for preset in PRESETS}
        official = {"repro": row["AdvInfoNCE's code"]}
        official["faithful"] = row["Own code or paper"]
        agree = all(value in ("-", row[name]) for name, value in official.items())
        if len(values) > 1 or not agree or set(official.values()) == {"-"}:
            assert row["Why"] != "=", row
        else:
            assert row["Why"] == "=" or len(row["Why"]) > 2, row
