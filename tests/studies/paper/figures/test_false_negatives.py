from importlib import import_module
from types import SimpleNamespace

import pytest
import torch

from pyg_advinfonce.graph import build_graph, split_edges
from pyg_advinfonce.studies.paper.figures.trainings import (
    known_likes,
    likes_in_test_splits,
)

figure = import_module("pyg_advinfonce.studies.paper.figures.false_negatives")

RATES = ["false_negatives", "all_negatives", "excess"]


def run(dataset, config):
    return figure.false_negatives(dataset, seeds=[0], epochs=8, config=config)


@pytest.fixture(scope="module")
def table(dataset, config):
    return run(dataset, config)


def test_the_rate_of_all_negatives_is_taken_off(table):
    adv = table[table["loss"] == "adv"]
    expected = adv["false_negatives"] - adv["all_negatives"]
    assert adv["excess"].to_list() == pytest.approx(expected.to_list())
    assert adv[RATES].notna().all(axis=None)
    assert adv["all_negatives"].between(0.4, 0.7).all()


def test_infonce_has_no_hardness(table):
    infonce = table[table["loss"] == "infonce"]
    assert infonce[RATES].isna().all(axis=None)
    assert infonce["ndcg"].notna().all()


def test_where_the_truth_is_unknown_the_test_splits_count(table, dataset, config):
    other = SimpleNamespace(graph=dataset.graph, fingerprint=dataset.fingerprint)
    found = run(other, config)
    assert found["all_negatives"].equals(table["all_negatives"])
    adv = found["loss"] == "adv"
    assert not found[adv]["false_negatives"].equals(table[adv]["false_negatives"])


def test_the_known_truth_is_asked_for(dataset):
    assert known_likes(dataset) == dataset.likes


def test_all_test_splits_together_are_what_is_liked():
    pairs = {"valid": [[0], [0]], "test": [[0], [1]], "test_more": [[1, 0], [0, 1]]}
    graph = build_graph(
        torch.tensor([[0, 1], [2, 2]]),
        num_users=2,
        num_items=3,
        splits={name: torch.tensor(ids) for name, ids in pairs.items()},
    )
    users, items = torch.arange(2)[:, None].expand(2, 3), torch.arange(3).expand(2, 3)
    found = likes_in_test_splits(graph)(users, items)
    assert found.tolist() == [[False, True, False], [True, False, False]]


def test_the_files(table, is_written):
    is_written("fig6", 0, table)


def test_a_false_negative_is_never_a_train_pair(dataset):
    train = split_edges(dataset.graph, "train")
    assert not likes_in_test_splits(dataset.graph)(*train).any()
