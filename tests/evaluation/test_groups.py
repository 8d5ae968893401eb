import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.graph import build_graph
from tests.evaluation import naive


class Table:
    """A scorer by a matrix of scores."""

    def __init__(self, scores):
        self._scores = scores

    def scores(self, user):
        return self._scores[user]


def naive_deciles(ids, degree):
    """Return the decile of each id; the largest degrees come first, in tenths."""
    order = sorted(ids, key=lambda i: (-degree[i], i))
    return {i: 10 - 10 * place // len(order) for place, i in enumerate(order)}


def naive_rows(world):
    """Return the rows of the table by group and decile, with loops."""
    users = naive_deciles(list(world.labels), world.activity)
    items = naive_deciles(world.candidates, world.degree)
    rows = {}
    for group, of, degree in (
        ("item", items, world.degree),
        ("user", users, world.activity),
    ):
        for decile in sorted(set(of.values())):
            inside = [i for i, d in of.items() if d == decile]
            pairs = [
                (u, i)
                for u, listed in world.lists.items()
                for i in listed
                if (i if group == "item" else u) in inside
            ]
            positives = [
                (u, i)
                for u, liked in world.labels.items()
                for i in liked
                if (i if group == "item" else u) in inside
            ]
            hits = [pair for pair in pairs if pair in positives]
            recalls = [
                len([u for u, _ in hits if u == user]) / len(world.labels[user])
                for user in inside
                if group == "user"
            ]
            rows[group, decile] = {
                "members": len(inside),
                "train_pairs": sum(degree[i] for i in inside),
                "listed": len(pairs),
                "positives": len(positives),
                "hits": len(hits),
                "share": len(pairs) / sum(map(len, world.lists.values())),
                "arp": np.mean([world.degree[i] for _, i in pairs] or [np.nan]),
                "recall": np.mean(recalls)
                if group == "user"
                else np.divide(len(hits), len(positives))
                if positives
                else np.nan,
            }
    return pd.DataFrame.from_dict(rows, orient="index").astype(float)


@settings(max_examples=150)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_table_is_the_naive_one(seed):
    world = naive.World(seed)
    evaluator = Evaluator(world.graph, k=world.k)
    lists = evaluator.lists(Table(world.scores), "test")
    found = evaluator.by_group(lists)
    assert set(found["split"]) == {"test"}
    assert set(found["k"]) == {world.k}
    found = found.set_index(["group", "decile"])[[*naive_rows(world)]]
    expected = naive_rows(world).rename_axis(["group", "decile"])
    pd.testing.assert_frame_equal(found.astype(float), expected, rtol=1e-12)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1))
def test_groups_add_up_to_the_total(seed):
    world = naive.World(seed)
    evaluator = Evaluator(world.graph, k=[1, world.k], metrics=["recall", "arp"])
    lists = evaluator.lists(Table(world.scores), "test")
    means = evaluator.measure(lists).means()
    for k in evaluator.cutoffs:
        table = evaluator.by_group(lists).query("k == @k")
        items, users = (table[table["group"] == g] for g in ("item", "user"))
        listed = sum(len(x[:k]) for x in world.lists.values())
        assert items["listed"].sum() == users["listed"].sum() == listed
        assert items["positives"].sum() == users["positives"].sum()
        assert items["hits"].sum() == users["hits"].sum()
        assert items["share"].sum() == pytest.approx(1)
        assert items["members"].sum() == len(world.candidates)
        assert users["members"].sum() == len(world.labels)
        mean = (users["recall"] * users["members"]).sum() / users["members"].sum()
        assert mean == pytest.approx(means[f"test/recall@{k}"])


def test_deciles_of_equal_size_and_their_order():
    degree = torch.arange(20)
    train = torch.stack(
        [
            torch.cat([torch.arange(int(d)) for d in degree]),
            degree.repeat_interleave(degree),
        ]
    )
    test = torch.stack([torch.arange(20), torch.full((20,), 19)])
    graph = build_graph(train, num_users=20, num_items=20, splits={"test": test})
    evaluator = Evaluator(graph, k=1)
    lists = evaluator.lists(Table(torch.eye(20)[[19] * 20]), "test")
    items = evaluator.by_group(lists).query("group == 'item'")
    assert items["decile"].tolist() == list(range(1, 11))
    assert items["members"].tolist() == [2] * 10
    assert items["train_pairs"].tolist() == [4 * d + 1 for d in range(10)]
    assert items["share"].tolist() == [0.0] * 9 + [1.0]
