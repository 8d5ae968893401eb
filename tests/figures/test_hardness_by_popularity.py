import pytest
from scipy.stats import spearmanr

from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.figures import hardness_by_popularity as figure
from pyg_advinfonce.figures.runs import default_config


def correlations(table, moment):
    rows = table[table["moment"] == moment].groupby("seed")
    return [spearmanr(r["rank"], r["probability"]).statistic for _, r in rows]


@pytest.fixture(scope="module")
def trained(dataset):
    """The adversary's whole career, in a fifth of its usual time."""
    schedule = {"adversary_every": 3, "adversary_epochs": 20}
    quick = {"loss": schedule, "train": {"eval_every": 100}}
    config = default_config(dataset).updated(quick)
    return figure.hardness_by_popularity(
        dataset, seeds=range(2), config=config, device="cpu", say=lambda _: None
    )


def test_the_adversary_ends_up_with_popularity(trained):
    assert min(correlations(trained, "after")) > 0.9


def test_the_adversary_begins_without_an_opinion(dataset, config):
    # One table drawn at random may lean a little to either side.
    table = figure.hardness_by_popularity(
        dataset, seeds=range(6), epochs=4, config=config, say=lambda _: None
    )
    found = correlations(table, "before")
    assert abs(sum(found) / len(found)) < 0.3
    before = table[table["moment"] == "before"]["probability"] * 64
    assert before.between(0.97, 1.03).all()


def test_an_adversary_without_a_turn_is_an_error(dataset, config):
    with pytest.raises(ConfigError, match="no turn in 2 epochs"):
        figure.hardness_by_popularity(dataset, seeds=[0], epochs=2, config=config)


def test_an_adversary_that_is_cut_short_is_said(dataset, config):
    said = []
    figure.hardness_by_popularity(
        dataset, seeds=[0], epochs=4, config=config, say=said.append
    )
    assert any(text.startswith("the adversary goes on after 4 epochs") for text in said)


def test_a_profile_is_a_distribution(trained):
    sums = trained.groupby(["seed", "moment"])["probability"].sum()
    assert sums.to_list() == pytest.approx([1.0] * 4)
    assert trained["rank"].to_list() == [*range(64)] * 4


def test_the_files(trained, tmp_path, monkeypatch, is_written):
    monkeypatch.setattr(figure, "hardness_by_popularity", lambda *_, **__: trained)
    is_written(figure.reproduce(None, seeds=[0], out=tmp_path / "new"), "fig4a")
