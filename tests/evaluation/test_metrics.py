import pytest
import torch
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

from pyg_advinfonce.evaluation import Evaluator, UserMetrics
from pyg_advinfonce.evaluation.metrics import BY_RANK
from pyg_advinfonce.graph import build_graph
from pyg_advinfonce.scorer import EmbeddingScores

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
