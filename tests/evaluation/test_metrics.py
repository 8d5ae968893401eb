import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.metrics import (
    LinkPredHitRatio,
    LinkPredMAP,
    LinkPredMetricCollection,
    LinkPredMRR,
    LinkPredNDCG,
    LinkPredPrecision,
    LinkPredRecall,
)
from torch_geometric.metrics.link_pred import LinkPredMetricData

from pyg_advinfonce.errors import UnknownNameError
from pyg_advinfonce.evaluation import Evaluator, UserMetrics
from pyg_advinfonce.evaluation.metrics import BY_LIST, BY_RANK, BY_WEIGHT, IN_TOTAL
from pyg_advinfonce.graph import build_graph
from pyg_advinfonce.registry import DEFAULT_METRICS
from pyg_advinfonce.registry import METRICS as REGISTERED
from pyg_advinfonce.scorer import EmbeddingScores
from tests.evaluation import naive

METRICS = {
    "recall": LinkPredRecall,
    "ndcg": LinkPredNDCG,
    "hr": LinkPredHitRatio,
    "precision": LinkPredPrecision,
    "mrr": LinkPredMRR,
    "map": LinkPredMAP,
}


CUTOFFS = (1, 2, 3, 5, 10, 20, 50)


def by_pyg(ranked, labels, cutoffs):
    metrics = LinkPredMetricCollection(
        {f"{n}@{k}": METRICS[n](k) for k in cutoffs for n in METRICS}
    )
    metrics.update(ranked, labels)
    return {name: float(value) for name, value in metrics.compute().items()}


def lists(num_users, num_items, length, share, seed=0):
    """Return lists of items without repetition, and labels of a part of the users."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(num_users, num_items, generator=generator)
    liked = torch.rand(num_users, num_items, generator=generator) < share
    liked[::4] = False
    return noise.argsort(1)[:, :length], liked.nonzero().t()


@pytest.mark.parametrize("length", [50, 20, 7, 1])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3])
def test_means_are_those_of_pyg_bit_for_bit(length, share):
    ranked, labels = lists(203, 60, length, share)
    data = LinkPredMetricData(ranked, labels)
    values = {f"{n}@{k}": BY_RANK[n](data, k) for k in CUTOFFS for n in METRICS}
    expected = by_pyg(ranked, labels, CUTOFFS)
    assert list(values) == list(expected)
    for value in values.values():
        assert value.shape == (203,)
        assert value.dtype == torch.float32
        assert value.isfinite().all()
    labeled = labels[0].unique()
    found = UserMetrics("test", labeled, values).means() if share else {}
    assert found == {f"test/{n}": v for n, v in expected.items() if share}
    others = torch.ones(203, dtype=torch.bool).index_fill(0, labeled, False)
    assert all((value[others] == 0).all() for value in values.values())


def test_an_evaluation_gives_the_means_of_pyg_bit_for_bit():
    generator = torch.Generator().manual_seed(3)
    draw = torch.rand(80, 30, generator=generator)
    train, test = (draw < 0.2).nonzero().t(), (draw > 0.9).nonzero().t()
    z_user, z_item = (torch.randn(n, 8, generator=generator) for n in (80, 30))
    graph = build_graph(train, num_users=80, num_items=30, splits={"test": test})
    evaluator = Evaluator(graph, k=CUTOFFS, metrics=tuple(METRICS))
    user, row = test[0].unique(return_inverse=True)
    ranked = evaluator.rank(EmbeddingScores(z_user, z_item), user, "test")
    assert (ranked < 0).any()  # no list has so many candidates
    padded = ranked.where(ranked >= 0, 30)  # PyG takes -1 for an item of another row
    expected = by_pyg(padded, torch.stack([row, test[1]]), CUTOFFS)
    found = evaluator(z_user, z_item, "test")
    assert found == {f"test/{name}": value for name, value in expected.items()}


def test_an_evaluation_calls_nothing_private(monkeypatch):
    def fail(*args):
        raise AssertionError("private")

    for metric in METRICS.values():
        monkeypatch.setattr(metric, "_compute", fail)
    graph = build_graph(
        torch.tensor([[0], [0]]),
        num_users=1,
        num_items=3,
        splits={"test": torch.tensor([[0], [2]])},
    )
    scores = torch.tensor([[0.0], [2.0], [1.0]])
    found = Evaluator(graph, k=2)(torch.ones(1, 1), scores, "test")
    assert found["test/mrr@2"] == 0.5


class Table:
    """A scorer by a matrix of scores."""

    def __init__(self, scores):
        self._scores = scores

    def scores(self, user):
        return self._scores[user]


SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("name", naive.OF_USER)
@settings(max_examples=60)
@given(seed=SEEDS)
def test_a_users_value_is_the_naive_one(name, seed):
    world = naive.World(seed)
    evaluator = Evaluator(world.graph, k=world.k, metrics=[name])
    found = evaluator.per_user(Table(world.scores), "test")
    expected = [naive.OF_USER[name](world, user) for user in world.labels]
    assert found.user.tolist() == list(world.labels)
    [value] = found.values.values()
    np.testing.assert_allclose(value.numpy(), expected, rtol=1e-6, atol=1e-7)
    mean = np.mean(expected).item()
    assert found.means() == {f"test/{name}@{world.k}": pytest.approx(mean, rel=1e-5)}


@pytest.mark.parametrize("name", naive.IN_TOTAL)
@settings(max_examples=60)
@given(seed=SEEDS)
def test_a_total_is_the_naive_one(name, seed):
    world = naive.World(seed)
    evaluator = Evaluator(world.graph, k=world.k, metrics=[name])
    found = evaluator.per_user(Table(world.scores), "test")
    expected = naive.IN_TOTAL[name](world)
    assert found.values == {}
    assert found.totals == {f"{name}@{world.k}": pytest.approx(expected, rel=1e-12)}
    assert found.means() == {f"test/{n}": v for n, v in found.totals.items()}


def test_the_worlds_have_lists_that_end_early():
    worlds = [naive.World(seed) for seed in range(50)]
    short = [w for w in worlds if any(len(x) < w.k for x in w.lists.values())]
    assert 10 < len(short) < 40


@settings(max_examples=100)
@given(seed=SEEDS, power=st.sampled_from([0, 0.3, 2]), clip=st.sampled_from([1e-3, 1]))
def test_power_and_clip(seed, power, clip):
    world = naive.World(seed)
    evaluator = Evaluator(
        world.graph,
        k=world.k,
        metrics=["snips-recall", "snips-ndcg"],
        propensity_power=power,
        propensity_clip=clip,
    )
    found = evaluator.per_user(Table(world.scores), "test").values
    for name in ("snips-recall", "snips-ndcg"):
        naive_value = naive.OF_USER[name]
        expected = [naive_value(world, u, power=power, clip=clip) for u in world.labels]
        value = found[f"{name}@{world.k}"].numpy()
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("options", [{"propensity_power": 0}, {"propensity_clip": 1}])
@settings(max_examples=100)
@given(seed=SEEDS)
def test_equal_propensities_give_the_plain_metric_exactly(options, seed):
    world = naive.World(seed)
    names = ["recall", "snips-recall", "ndcg", "snips-ndcg"]
    evaluator = Evaluator(world.graph, k=world.k, metrics=names, **options)
    plain, weighted, *ndcg = evaluator.per_user(
        Table(world.scores), "test"
    ).values.values()
    assert torch.equal(plain, weighted)
    assert torch.equal(*ndcg)


def test_a_popular_hit_counts_less():
    train = torch.tensor([[0, 1, 2, 3, 0], [0, 0, 0, 0, 1]])
    test = torch.tensor([[4, 4], [0, 1]])
    graph = build_graph(train, num_users=5, num_items=3, splits={"test": test})
    evaluator = Evaluator(graph, k=1, metrics=["recall", "snips-recall"])
    scores = torch.zeros(5, 3)
    scores[:, 0] = 1.0  # the hit has four times the train pairs of the miss
    found = evaluator.metrics(Table(scores), "test")
    third = pytest.approx(1 / 3)  # weights 1 and 2
    assert found == {"test/recall@1": 0.5, "test/snips-recall@1": third}


def test_metrics_by_name_keep_their_order():
    world = naive.World(1)
    names = ["gini", "mrr", "map", "arp"]
    evaluator = Evaluator(world.graph, k=[5, 2], metrics=[*names, "mrr"])
    found = evaluator.metrics(Table(world.scores), "test")
    kept = [f"test/{n}@{k}" for k in (2, 5) for n in names[1:]]
    assert list(found) == [*kept, "test/gini@2", "test/gini@5"]
    plain = evaluator.with_metrics(DEFAULT_METRICS)
    expected = Evaluator(world.graph, k=[5, 2]).metrics(Table(world.scores), "test")
    assert plain.metrics(Table(world.scores), "test") == expected
    assert evaluator.names == tuple(names)


def test_an_unknown_metric():
    graph = naive.World(1).graph
    with pytest.raises(UnknownNameError, match="did you mean 'gini'"):
        Evaluator(graph, metrics=["ginni"])
    with pytest.raises(UnknownNameError, match="metric"):
        Evaluator(graph).with_metrics(["recall@20"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"propensity_power": -1}, "propensity_power must be at least 0"),
        ({"propensity_power": math.nan}, "propensity_power must be at least 0"),
        ({"propensity_clip": 0}, "above 0 and at most 1"),
        ({"propensity_clip": 1.5}, "above 0 and at most 1"),
    ],
)
def test_a_wrong_propensity(options, said):
    with pytest.raises(ValueError, match=said):
        Evaluator(naive.World(1).graph, **options)


def test_every_described_metric_exists():
    assert [*BY_RANK, *BY_WEIGHT, *BY_LIST, *IN_TOTAL] == list(REGISTERED)
    assert list(REGISTERED)[: len(DEFAULT_METRICS)] == list(DEFAULT_METRICS)


def of_hand(lists):
    """Return an evaluator and given lists, by user, of a graph with 4 items."""
    train = torch.tensor([[0, 1, 2, 0], [0, 0, 0, 3]])
    test = torch.tensor([[0, 1, 2], [1, 2, 3]])
    graph = build_graph(train, num_users=3, num_items=4, splits={"test": test})
    evaluator = Evaluator(graph, k=2, metrics=list(REGISTERED))
    user = torch.tensor([u for u, items in lists.items() for _ in items])
    item = torch.tensor([i for items in lists.values() for i in items])
    return evaluator, evaluator.given_lists(user.long(), item.long(), "test")


def test_given_lists_obey_the_masks():
    lists = {0: [0, 3, 2, 1], 2: [3], 1: [0, 1, 2, 3]}
    found = of_hand(lists)[1]
    assert found.user.tolist() == [0, 1, 2]
    assert found.item.tolist() == [[2, 1], [1, 2], [3, -1]]
    assert found.score is None


def test_an_empty_list_counts_in_accuracy_alone():
    evaluator, lists = of_hand({0: [1, 2], 1: [2]})
    assert lists.item.tolist() == [[1, 2], [2, -1], [-1, -1]]
    found = evaluator.measure(lists)
    assert found.values["arp@2"].isnan().tolist() == [False, False, True]
    means = found.means()
    assert means["test/recall@2"] == pytest.approx(2 / 3)
    assert (means["test/tail@2"], means["test/arp@2"]) == (1.0, 0.0)
    assert means["test/novelty@2"] == pytest.approx(math.log2(3))
    assert means["test/coverage@2"] == 0.5


def test_no_list_at_all():
    evaluator, lists = of_hand({})
    means = evaluator.measure(lists).means()
    assert means["test/recall@2"] == means["test/map@2"] == 0
    assert means["test/coverage@2"] == 0
    assert all(math.isnan(means[f"test/{n}@2"]) for n in ("gini", "arp", "novelty"))


@settings(max_examples=60)
@given(seed=SEEDS)
def test_given_lists_of_all_items_are_those_of_the_scores(seed):
    world = naive.World(seed)
    evaluator = Evaluator(world.graph, k=world.k)
    order = world.scores.argsort(dim=1, descending=True, stable=True)  # [U, I]
    user = torch.arange(world.num_users).repeat_interleave(world.num_items)
    found = evaluator.given_lists(user, order.flatten(), "test")
    expected = evaluator.lists(Table(world.scores), "test")
    assert torch.equal(found.item, expected.item)
    assert found.item.tolist() == [
        [*listed, *[-1] * (world.k - len(listed))] for listed in world.lists.values()
    ]
    assert evaluator.measure(found).means() == evaluator.measure(expected).means()


@pytest.mark.parametrize(
    ("user", "item", "said"),
    [
        ([0, 0], [1, 1], "once per user"),
        ([3], [0], r"user must be in \[0, 2\] \(got 3 to 3\)"),
        ([0], [-1], r"item must be in \[0, 3\]"),
        ([0, 1], [0], "users .M. and items .M."),
    ],
)
def test_wrong_lists(user, item, said):
    evaluator, _ = of_hand({})
    with pytest.raises(ValueError, match=said):
        evaluator.given_lists(torch.tensor(user), torch.tensor(item), "test")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("deterministic", [False, True])
def test_a_gpu_gives_the_values_of_the_cpu(deterministic):
    torch.use_deterministic_algorithms(deterministic)
    try:
        for seed in range(20):
            world = naive.World(seed)
            names = list(REGISTERED)
            cpu = Evaluator(world.graph, k=[1, world.k], metrics=names)
            cuda = Evaluator(world.graph.clone().cuda(), k=cpu.cutoffs, metrics=names)
            expected = cpu.metrics(Table(world.scores), "test")
            found = cuda.metrics(Table(world.scores.cuda()), "test")
            assert found == pytest.approx(expected, rel=1e-6)
            groups = [
                e.by_group(e.lists(Table(s), "test"))
                for e, s in ((cpu, world.scores), (cuda, world.scores.cuda()))
            ]
            assert groups[0].equals(groups[1])
    finally:
        torch.use_deterministic_algorithms(False)


def test_equal_weights_that_are_no_power_of_two_are_exact_too():
    generator = torch.Generator().manual_seed(0)
    liked = torch.rand(200, 60, generator=generator) < 0.3
    test, none = liked.nonzero().t(), torch.empty(2, 0, dtype=torch.long)
    graph = build_graph(none, num_users=200, num_items=60, splits={"test": test})
    names = ["recall", "snips-recall", "ndcg", "snips-ndcg"]
    evaluator = Evaluator(graph, k=20, metrics=names, propensity_clip=0.3)
    scores = Table(torch.rand(200, 60, generator=generator))
    plain, weighted, *ndcg = evaluator.per_user(scores, "test").values.values()
    assert torch.equal(plain, weighted)
    assert torch.equal(*ndcg)
