"""The studies behind the packaged settings that the paper does not publish."""

import csv
import json
import re
from pathlib import Path

import pytest

from pyg_advinfonce.config import NAMED, Config, flatten, packaged, read_toml
from pyg_advinfonce.studies.tuning import search_space

FOLDER = Path(__file__).parents[1] / "docs" / "studies"
STUDIES = sorted(FOLDER.rglob("*.json"))

study = pytest.mark.parametrize(
    "file", STUDIES, ids=lambda file: "-".join(file.relative_to(FOLDER).parts)
)


def best_of(file):
    return json.loads(file.read_text(encoding="utf-8"))["best"]["params"]


@study
def test_a_study_and_its_settings_belong_together(file):
    summary = json.loads(file.read_text(encoding="utf-8"))
    layer = read_toml(file.with_suffix(".toml"))
    names = [layer[section]["name"] for section in NAMED]
    config = Config.resolve(*names, layers=[layer])
    assert (config.data.name, f"{config.model.name}-{config.loss.name}") == (
        file.parent.name,
        file.stem,
    )
    assert best_of(file).items() <= flatten(layer).items()
    rows = list(csv.DictReader(file.with_suffix(".csv").read_text().splitlines()))
    assert len(rows) == summary["trials"]["finished"]
    finished = [float(row["value"]) for row in rows if row["state"] == "complete"]
    assert max(finished) == summary["best"]["value"]
    assert set(best_of(file)) <= set(search_space(config))


@pytest.mark.parametrize("data", ["coat", "yahoo", "selfrec/yahoo"])
def test_all_methods_had_as_many_trials_and_epochs(data):
    files = (FOLDER / data).glob("*.json")
    summaries = [json.loads(file.read_text()) for file in files]
    effort = {(s["trials"]["finished"], s["epochs"], s["monitor"]) for s in summaries}
    assert len(effort) == 1
    assert effort.pop()[2] == "valid/recall@20"


@pytest.mark.parametrize("data", ["coat", "yahoo"])
@pytest.mark.parametrize("loss", ["bpr", "ccl", "bc", "adap-tau"])
def test_unpublished_settings_are_those_that_were_found(data, loss):
    found = best_of(FOLDER / data / f"mf-{loss}.json")
    assert found.items() <= flatten(packaged(data, "mf", loss)).items()


def test_no_study_names_a_place_on_a_machine():
    for file in FOLDER.rglob("*.*"):
        if file.suffix == ".png":
            continue
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"/(tmp|home|work|root)\b", text)
