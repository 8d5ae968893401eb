import pandas as pd
import pytest

from pyg_advinfonce import build_method
from pyg_advinfonce.config import Config
from pyg_advinfonce.figures import runs
from pyg_advinfonce.figures.runs import spread, variant
from pyg_advinfonce.graph import INTERACTS


def test_settings_are_those_that_come_with_the_data(dataset):
    config = runs.default_config(dataset)
    assert (config.model, config.criterion) == ("lightgcn", "adv")
    assert config.dataset == "simulated:coat"
    assert config.loss["adversary_every"] == 15


@pytest.mark.parametrize("loss", ["adv", "infonce", "rand", "adv-reverse"])
def test_a_variant_differs_in_its_loss_alone(config, loss):
    varied = variant(config, loss, {})
    assert varied.criterion == loss
    assert (varied.train, varied.encoder) == (config.train, config.encoder)
    for key in ("tau", "negative_weight"):
        assert varied.loss[key] == config.loss[key]


def test_a_variant_of_settings_that_nobody_has_set():
    config = Config.resolve("lightgcn", "adv", "mine")
    assert variant(config, "infonce", {}).loss == {"tau": 0.2, "negative_weight": 64.0}


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
        runs.key_of(c, dataset, seed=0, epochs=5, shown="x") for c in (config, other)
    ]
    assert keys[0] == keys[1]


def test_the_adversarys_last_epoch(dataset, config):
    assert runs.last_adversarial(config, dataset) == 9  # epochs 3, 6 and 9
    assert runs.last_adversarial(config, dataset, before=9) == 6
    assert runs.num_epochs(config, dataset) == 9 + 1 + 20 * 2
    none = config.updated({"loss": {"adversary_epochs": 0}})
    assert runs.last_adversarial(none, dataset) == -1


def test_the_adversarys_last_epoch_is_asked_of_the_graph_that_is_trained_on(
    dataset, config, monkeypatch
):
    build = build_method.build_hardness

    def reading(graph, kind, **options):
        assert graph[INTERACTS].edge_weight.isfinite().all()
        return build(graph, kind, **options)

    monkeypatch.setattr(build_method, "build_hardness", reading)
    assert runs.last_adversarial(config, dataset) == 9


def test_mean_and_standard_error_over_seeds():
    table = pd.DataFrame({"epoch": [1, 1, 2], "x": [1.0, 3.0, 5.0]})
    found = spread(table, ["epoch"], "x")
    assert found.to_dict("list") == {"epoch": [1, 2], "mean": [2, 5], "sem": [1, 0]}
