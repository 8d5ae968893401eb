"""The study of validation schemes: its analysis, and the tables of its page."""

import argparse
import re
from pathlib import Path
from statistics import correlation, mean

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import validation_schemes as study
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.graph import num_nodes, split_edges, train_degrees
from pyg_advinfonce.scorer import EmbeddingScores

FOLDER = Path(__file__).parents[1] / "docs/studies/validation"
ROWS = pd.read_csv(FOLDER / "settings.csv")


@pytest.fixture
def values():
    """Scores and metrics of settings, with ties in both."""
    rng = np.random.default_rng(3)
    return rng.integers(8, size=14) / 8, rng.integers(12, size=14) / 12


def naive_ranks(values):
    below = [sum(other < value for other in values) for value in values]
    equal = [sum(other == value for other in values) for value in values]
    return [b + (e + 1) / 2 for b, e in zip(below, equal, strict=True)]


def naive_regret(score, test):
    best, chosen = max(test), None
    for place, value in enumerate(score):
        if chosen is None or value > score[chosen]:
            chosen = place
    return best - test[chosen]


def test_rho_is_the_correlation_of_the_ranks(values):
    expected = correlation(*map(naive_ranks, values))
    assert study.rho(*values) == pytest.approx(expected)
    assert study.rho(values[0], -values[0]) == pytest.approx(-1)


def test_resampled_rho_is_that_of_the_drawn_settings(values):
    samples = study.resampled_rho(*values)
    rng = np.random.default_rng(0)
    index = rng.integers(len(values[0]), size=(study.SAMPLES, len(values[0])))
    for drawn, found in list(zip(index, samples, strict=True))[:5]:
        ranks = [naive_ranks(list(part[drawn])) for part in values]
        assert found == pytest.approx(correlation(*ranks))


def test_regret_and_rank_of_the_choice(values):
    score, test = values
    lost = naive_regret(list(score), list(test))
    assert study.regret(score, test) == lost > 0
    assert study.place(score, test) == 1 + sum(test > max(test) - lost)
    assert (study.regret(test, test), study.place(test, test)) == (0, 1)


def test_regret_among_some_settings(values, monkeypatch):
    score, test = values
    monkeypatch.setattr(study, "SUBSET", len(score))
    # Among equal scores the first of a random order is chosen.
    tied = [max(test) - t for s, t in zip(*values, strict=True) if s == max(score)]
    assert study.mean_regret(score, test) == pytest.approx(mean(tied), abs=0.01)
    monkeypatch.setattr(study, "SUBSET", 5)
    assert study.mean_regret(test, test) == 0 < study.mean_regret(-test, test)


def test_deciles_have_equal_weights_in_the_balanced_recall():
    graph, truth = study.load("simulated", Path())
    torch.manual_seed(0)
    users, items = num_nodes(graph)
    scorer = EmbeddingScores(torch.randn(users, 4), torch.randn(items, 4))
    found = study.Schemes(graph, truth).scores(scorer)
    lists = Evaluator(graph).lists(scorer, "valid")
    order = sorted(range(items), key=lambda i: (-int(train_degrees(graph)[1][i]), i))
    decile = {item: place * 10 // items for place, item in enumerate(order)}
    hits, positives = [0] * 10, [0] * 10
    for row, item in lists.label_index.t().tolist():
        positives[decile[item]] += 1
        hits[decile[item]] += item in lists.item[row].tolist()
    recalls = [h / n for h, n in zip(hits, positives, strict=True) if n]
    assert found["decile-recall"] == pytest.approx(mean(recalls))
    evaluator = Evaluator(
        graph, metrics=["snips-recall"], propensity_power=2.0, propensity_clip=0.001
    )
    expected = evaluator.metrics(scorer, "valid")["valid/snips-recall@20"]
    assert found["snips-recall-2.0-0.001"] == expected != found["recall"]


def test_the_true_test_has_every_liked_pair_that_is_not_in_the_log():
    graph, truth = study.load("simulated", Path())
    dataset = load_dataset("simulated")
    pairs = {name: split_edges(truth, name) for name in ("train", "valid", "test")}
    users, items = num_nodes(graph)
    liked = dataset.likes(torch.arange(users)[:, None], torch.arange(items))
    for name in ("train", "valid"):
        assert pairs[name].equal(split_edges(graph, name))
        liked[tuple(pairs[name])] = False
    assert liked[tuple(pairs["test"])].all()
    assert pairs["test"].size(1) == liked.sum()


def test_finished_settings_are_not_trained_again(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "train", None)
    file, (data, seed) = tmp_path / "settings.csv", ROWS.loc[0, ["data", "seed"]]
    assert (data, seed) == ("coat", 0)
    monkeypatch.setattr(study, "load", lambda data, root: (None, None))
    ROWS[:3].to_csv(file, index=False)
    args = argparse.Namespace(data="coat", data_root=None, settings=3, seeds=1)
    assert study.complete(file, args).equals(pd.read_csv(file))
    ROWS[:3].assign(settings="train.lr=1").to_csv(file, index=False)
    with pytest.raises(SystemExit, match="other settings: remove it"):
        study.complete(file, args)


def test_the_file_has_the_settings_that_are_drawn():
    for row in ROWS.to_dict("records"):
        assert study.draw(row["setting"]).items() <= row.items()
    numbers = ROWS.groupby(["data", "seed"])["setting"].agg(list)
    assert list(numbers) == [list(range(40))] * len(numbers)


def test_the_page_has_the_tables_of_the_file():
    page = (FOLDER / "README.md").read_text("utf-8")
    found = study.tables(ROWS)
    assert len(found) == 7
    for table in found.values():
        assert table in page
    text = page.split("\n## What holds\n")[1].split("\n## Limits\n")[0]
    elsewhere = {"0.36", "0.0001", "0.0228", "0.46"}  # the figure, the rows, a trial
    cited = set(re.findall(r"\b0\.\d+", text)) - elsewhere
    assert len(cited) > 20
    assert [number for number in cited if number not in "".join(found.values())] == []
