import optuna
import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from pyg_advinfonce.build import build_method, make_trainer
from pyg_advinfonce.config import flatten, setting_values, unflatten
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.registry import LOSSES, MODELS
from pyg_advinfonce.studies.tuning import search_space
from pyg_advinfonce.studies.tuning.space import (
    default_params,
    read_space,
    suggest,
)

PAIRS = [(model, loss) for model, entry in MODELS.items() for loss in entry.losses]
NAMES = [("model", name) for name in MODELS] + [("loss", name) for name in LOSSES]


def sampled(space, seed):
    """Draw one point of a space."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
    trial = study.ask()
    return {key: suggest(trial, key, values) for key, values in space.items()}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("model", "loss"), PAIRS)
def test_every_pair_can_be_built_with_what_is_drawn(
    model, loss, seed, graph, configure
):
    config = configure(model, loss, train={"epochs": 99})  # BC starts late
    space = search_space(config, fixed=["train.batch_size"])
    drawn = sampled(space, seed)
    config = config.updated(unflatten(drawn))
    make_trainer(config, build_method(config, graph), graph, ())
    assert {key: setting_values(config)[key] for key in space} == drawn


@pytest.mark.parametrize(("model", "loss"), PAIRS)
def test_every_key_of_a_space_has_a_default(model, loss, configure):
    config = configure(model, loss)
    for key in search_space(config):
        assert setting_values(config)[key] is not None, key


@pytest.mark.parametrize("model", MODELS)
def test_a_default_is_what_an_absent_key_means(model, graph, configure):
    config = configure(model, None, train={"epochs": 1})
    given = {key: setting_values(config)[key] for key in search_space(config)}

    def losses(config):
        trainer = make_trainer(config, build_method(config, graph), graph, ())
        trainer.fit()
        return trainer.history[0].losses, trainer.history[0].metrics

    assert losses(config) == losses(config.updated(unflatten(given)))


@pytest.mark.parametrize("path", NAMES, ids="/".join)
def test_a_file_searches_its_own_sections(path):
    sections = {key.split(".")[0] for key in read_space(*path)}
    own = {"loss", "hardness"} if path[0] == "loss" else {"model"}
    assert sections <= own | {"train"}


def test_a_name_without_a_file_adds_nothing():
    assert read_space("loss", "no-such-loss") == {}


def test_the_space_of_the_paper_s_table_11(configure):
    assert search_space(configure("mf", "adv")) == {
        "train.lr": CategoricalDistribution([1e-5, 3e-5, 5e-5, 1e-4, 3e-4, 5e-4, 1e-3]),
        "train.batch_size": CategoricalDistribution([64, 128, 256, 512, 1024, 2048]),
        "train.num_negatives": CategoricalDistribution([64, 128, 256, 512]),
        "loss.tau": FloatDistribution(0.05, 3.0, log=True),
        "loss.adversary_lr": FloatDistribution(1e-4, 0.1, log=True),
        "loss.adversary_epochs": IntDistribution(1, 30),
        "loss.adversary_every": CategoricalDistribution([5, 10, 15, 20]),
    }


def test_what_is_fixed_is_not_searched(configure):
    space = search_space(configure(), fixed={"loss.tau", "train.lr", "model.dim"})
    assert list(space) == ["train.batch_size", "train.num_negatives"]


def test_what_a_name_sets_for_itself_is_not_searched(configure):
    assert list(search_space(configure("mf", "bpr"))) == [
        "train.lr",
        "train.batch_size",
        "loss.cosine",
    ]


def test_a_chosen_space_replaces_the_packaged_one(configure):
    chosen = {
        "train.lr": [1e-3, 5e-3],
        "model.dim": {"low": 4, "high": 64, "log": True},
    }
    space = search_space(configure(), fixed=["loss.tau"], chosen=chosen)
    assert space == {
        "train.lr": CategoricalDistribution([1e-3, 5e-3]),
        "model.dim": IntDistribution(4, 64, log=True),
    }
    assert list(search_space(configure(), ["train.lr"], chosen=chosen)) == ["model.dim"]


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"train.lr": [1e-3], "loss.tau": 0.2}, r"got loss\.tau = 0\.2"),
        ({"train.lr": []}, r"got train\.lr = \[\]"),
        ({"train.lr": {"low": 0.1}}, r"low, high and log .*train\.lr"),
        (
            {"train.lr": {"low": 1, "high": 0.1}},
            r"^the space: low is above high in train\.lr = ",
        ),
        ({"loss.tua": [0.1]}, r"^unknown key of the space 'loss\.tua'.*loss\.tau"),
        (["train.lr"], r"got \['train\.lr'\]"),
    ],
)
def test_a_chosen_space_of_another_form(chosen, said, configure):
    with pytest.raises(ConfigError, match=said):
        search_space(configure(), chosen=chosen)


def test_the_defaults_that_lie_in_the_space(configure):
    config = configure("mf", "adv", loss={"adversary_lr": 5e-5, "adversary_every": 7})
    assert default_params(config, search_space(config)) == {
        "train.lr": 3e-4,
        "loss.tau": 0.2,
        "loss.adversary_epochs": 10,
    }


def test_settings_become_sections_and_back():
    sections = {"loss": {"tau": 1, "weight": 2}, "train": {"lr": 3}}
    assert unflatten(flatten(sections)) == sections
