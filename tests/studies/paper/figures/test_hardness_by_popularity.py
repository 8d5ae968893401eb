from importlib import import_module
from types import SimpleNamespace

import pytest
import torch
from scipy.stats import spearmanr

from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.graph import train_degrees
from pyg_advinfonce.studies.paper.figures import probability_by_popularity
from pyg_advinfonce.studies.paper.figures.hardness_by_popularity import (
    ProbabilityRecorder,
)
from pyg_advinfonce.studies.paper.figures.trainings import default_config
from pyg_advinfonce.training import Record
from tests.cases import NUM_ITEMS, find, toy_batch

figure = import_module("pyg_advinfonce.studies.paper.figures.hardness_by_popularity")


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
        dataset, seeds=range(2), config=config, device="cpu"
    )


def test_the_adversary_ends_up_with_popularity(trained):
    assert min(correlations(trained, "after")) > 0.9


def test_the_adversary_begins_without_an_opinion(dataset, config):
    # One table drawn at random may lean a little to either side.
    table = figure.hardness_by_popularity(
        dataset, seeds=range(6), epochs=4, config=config
    )
    found = correlations(table, "before")
    assert abs(sum(found) / len(found)) < 0.3
    before = table[table["moment"] == "before"]["probability"] * 64
    assert before.between(0.97, 1.03).all()


def test_an_adversary_without_a_turn_is_an_error(dataset, config):
    with pytest.raises(ConfigError, match=r"got 2 epochs, none adv"):
        figure.hardness_by_popularity(dataset, seeds=[0], epochs=2, config=config)


def test_an_adversary_that_is_cut_short_is_said(dataset, config, lines):
    figure.hardness_by_popularity(
        dataset, seeds=[0], epochs=4, config=config, progress=lines
    )
    said = "training ends after 4 epochs"
    assert any(text.startswith(said) for text in lines.said)


def test_a_profile_is_a_distribution(trained):
    sums = trained.groupby(["seed", "moment"])["probability"].sum()
    assert sums.to_list() == pytest.approx([1.0] * 4)
    assert trained["rank"].to_list() == [*range(64)] * 4


def test_the_files(trained, is_written):
    is_written("fig4", 0, trained)


def by_popularity(graph, batch, sign=1.0):
    """Hardness that is a function of the negatives' popularity alone."""
    logits = sign * train_degrees(graph)[1].float()[batch.neg_id]  # [B, K]
    return logits.log_softmax(-1) + torch.tensor(float(logits.size(-1))).log()


def test_uniform_hardness_has_a_flat_profile(graph, batch):
    found = probability_by_popularity(
        torch.zeros(batch.dst_neg_index.shape), batch, graph
    )
    assert found.tolist() == pytest.approx([1 / 4] * 4)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_profile_follows_popularity(graph, sign):
    batch = toy_batch(8, 6, seed=3)
    found = probability_by_popularity(by_popularity(graph, batch, sign), batch, graph)
    steps = sign * found.diff()
    assert (steps >= 0).all()
    assert steps.max() > 0
    assert float(found.sum()) == pytest.approx(1.0)


def test_the_order_of_negatives_does_not_matter(graph):
    batch = toy_batch(8, 6, seed=3)
    delta, order = by_popularity(graph, batch), torch.randperm(6)
    shuffled = SimpleNamespace(neg_id=batch.neg_id[:, order])
    found = probability_by_popularity(delta[:, order], shuffled, graph)
    assert torch.allclose(found, probability_by_popularity(delta, batch, graph))
    assert int(batch.neg_id.max()) < NUM_ITEMS


def test_before_is_kept_until_the_adversary_runs_and_after_is_its_last(graph, batch):
    method = find("adv").method(graph=graph)
    trainer = SimpleNamespace(method=method, graph=graph, last_batch=(graph, batch))
    trainer.ran_beside_main = lambda record: record.phases != ["main"]
    found, seen = ProbabilityRecorder(), []
    for epoch, phase in enumerate(["main", "main", "adversary", "main", "adversary"]):
        with torch.no_grad():
            method.loss.hardness.user.add_(0.5)
        record = Record(epoch=epoch, phases=[phase])
        found.on_epoch_end(trainer, record)
        seen.append((found.before, found.after))
    assert seen[0][1] is seen[1][1] is None
    assert not torch.equal(seen[0][0], seen[1][0])
    assert all(before is seen[1][0] for before, _ in seen[2:])
    assert seen[2][1] is seen[3][1] is not None
    assert not torch.equal(seen[4][1], seen[2][1])
