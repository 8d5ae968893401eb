from pyg_advinfonce.analysis.differing import differing
from pyg_advinfonce.config import Config


def configure(criterion, data="none", **sections):
    return Config.resolve("mf", criterion, data, layers=[sections])


def test_settings_that_differ_are_listed_in_the_order_of_the_runs():
    found = differing(
        [
            configure("infonce", loss={"tau": 0.1}, train={"epochs": 60}),
            configure("infonce", train={"epochs": 40}),
        ]
    )
    assert found == {"loss.tau": [0.1, 0.2], "train.epochs": [60, 40]}


def test_a_default_that_is_spelled_out_is_no_difference():
    spelled = configure("infonce", loss={"tau": 0.2})
    assert differing([configure("infonce"), spelled]) == {}
    margins = differing([configure("infonce"), configure("ccl", loss={"margin": 0.4})])
    assert margins["loss.margin"] == [None, 0.4]


def test_seeds_and_names_of_data_are_no_settings():
    one, two = configure("adv"), configure("adv", "other", train={"seed": 7})
    assert differing([one, two]) == {}


def test_losses_and_models_are():
    configs = [
        configure("infonce"),
        configure("ccl"),
        Config.resolve("lightgcn", "ccl"),
    ]
    found = differing(configs)
    assert found["model"] == ["mf", "mf", "lightgcn"]
    assert found["criterion"] == ["infonce", "ccl", "ccl"]
