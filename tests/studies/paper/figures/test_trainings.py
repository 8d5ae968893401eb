import json
from functools import wraps

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from pyg_advinfonce import build as build_method
from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.graph import INTERACTS
from pyg_advinfonce.schema import Count, Number, Real
from pyg_advinfonce.studies.paper.figures import trainings as runs
from pyg_advinfonce.studies.paper.figures.trainings import (
    cached_table,
    mean_and_error,
    variant,
)

TABLE = pd.DataFrame(
    {"user": ["007", "NA"], "epoch": [0, 1], "x": [0.1 + 0.2, 1 / 3], "y": [None, 1e-9]}
)
TYPES = {"user": str, "epoch": Count, "x": Number, "y": Real | None}


@pytest.fixture
def make():
    """Makes the table and counts how often."""

    def make():
        make.calls += 1
        return TABLE

    make.calls = 0
    return make


def test_a_table_is_made_once_and_found_as_it_was(tmp_path, make):
    for _ in range(2):
        found = cached_table(tmp_path / "new", ["a", 1], make, TYPES)
        assert_frame_equal(found, TABLE, check_exact=True)
    assert make.calls == 1


def test_another_key_is_another_table(tmp_path, make):
    for key in (["a", 1], ["a", 2], ["b", 1], [{"x": 1, "y": 2}], [{"y": 2, "x": 1}]):
        cached_table(tmp_path, key, make, TYPES)
    assert make.calls == 4


def test_without_a_folder_nothing_is_kept(make):
    assert cached_table(None, [], make, TYPES) is cached_table(None, [], make, TYPES)
    assert make.calls == 2


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("epoch", ["x"], "epoch.0: input should be a valid integer"),
        ("epoch", [], "its columns differ in length"),
        (None, None, "expected a JSON object"),
    ],
)
def test_a_damaged_table_is_named(tmp_path, make, column, value, said):
    cached_table(tmp_path, [], make, TYPES)
    [file] = tmp_path.iterdir()
    content = json.loads(file.read_text()) | {column: value} if column else [3]
    file.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=f"{file} is damaged: {said}"):
        cached_table(tmp_path, [], make, TYPES)


def test_what_fails_leaves_nothing(tmp_path, make):
    with pytest.raises(ZeroDivisionError):
        cached_table(tmp_path, [], lambda: 1 / 0, TYPES)
    assert list(tmp_path.iterdir()) == []


def test_settings_are_those_that_come_with_the_data(dataset):
    config = runs.default_config(dataset)
    assert (config.model.name, config.loss.name) == ("lightgcn", "adv")
    assert config.data.name == "simulated:coat"
    assert config.loss.options["adversary_every"] == 15


@pytest.mark.parametrize("loss", ["adv", "infonce", "rand", "adv-reverse"])
def test_a_variant_differs_in_its_loss_alone(config, loss):
    varied = variant(config, loss, {})
    assert varied.loss.name == loss
    assert (varied.train, varied.model) == (config.train, config.model)
    for key in ("tau", "negative_weight"):
        assert varied.loss.options[key] == config.loss.options[key]


def test_a_variant_of_settings_that_nobody_has_set():
    config = Config.resolve("lightgcn", "adv", "mine")
    found = variant(config, "infonce", {}).loss.options
    assert found == {"tau": 0.2, "negative_weight": 64.0}


def test_losses_that_learn_keep_the_hardness():
    layers = [{"hardness": {"kind": "mlp"}}]
    config = Config.resolve("lightgcn", "adv", "mine", layers=layers)
    for loss in ("adv", "adv-reverse"):
        assert variant(config, loss, {}).hardness == {"kind": "mlp"}
    assert variant(config, "rand", {}).hardness == {"kind": "random"}
    assert variant(config, "infonce", {}).hardness == {}


def test_what_a_training_overrides_is_no_part_of_its_key(dataset, config):
    other = config.updated({"train": {"epochs": 3, "patience": 1, "seed": 9}})
    keys = [
        runs.cache_key(c, dataset, seed=0, epochs=5, shown="x") for c in (config, other)
    ]
    assert keys[0] == keys[1]


def test_the_adversarys_last_epoch(dataset, config):
    none = config.updated({"loss": {"adversary_epochs": 0}})
    some, never = runs.schedules(dataset, config, none)
    assert runs.last_adversarial(some) == 9  # epochs 3, 6 and 9
    assert runs.last_adversarial(some, before=9) == 6
    assert runs.num_epochs(config, some) == 9 + 1 + 20 * 2
    assert runs.last_adversarial(never) == -1


def test_the_adversarys_last_epoch_is_asked_of_the_graph_that_is_trained_on(
    dataset, config, monkeypatch
):
    build = build_method.build_hardness

    @wraps(build)
    def reading(graph, kind, **options):
        assert graph[INTERACTS].edge_weight.isfinite().all()
        return build(graph, kind, **options)

    monkeypatch.setattr(build_method, "build_hardness", reading)
    [schedule] = runs.schedules(dataset, config)
    assert runs.last_adversarial(schedule) == 9


def test_mean_and_standard_error_over_seeds():
    table = pd.DataFrame({"epoch": [1, 1, 2], "x": [1.0, 3.0, 5.0]})
    found = mean_and_error(table, ["epoch"], "x")
    assert found.to_dict("list") == {"epoch": [1, 2], "mean": [2, 5], "sem": [1, 0]}
