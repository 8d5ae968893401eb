import pytest
import torch
from threadpoolctl import threadpool_limits

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import build_graph
from pyg_advinfonce.objective import Step
from pyg_advinfonce.terms import PrototypeContrast
from pyg_advinfonce.transforms import BipartiteNorm
from tests import cases
from tests.terms.test_contrast import started, step_of


@pytest.mark.parametrize("prototypes", ["all", "batch"])
def test_one_cluster_costs_nothing(graph, prototypes):
    step = step_of(graph)
    term = started(PrototypeContrast(1, first_epoch=0, prototypes=prototypes), step)
    loss = term(step)
    assert term.user_centroids.shape == (1, cases.DIM)
    if prototypes == "all":
        assert loss.item() == pytest.approx(0, abs=1e-12)
    else:  # D10: the batch's other elements have the same centroid, B times
        batch = step.batch.src_index.numel()
        expected = 2 * batch * torch.tensor(float(batch)).log()
        assert loss.item() == pytest.approx(expected.item())


def test_before_the_first_epoch_it_is_a_zero_without_a_graph(graph, monkeypatch):
    def fail(*_):
        raise AssertionError("clusters before the first epoch")

    term = PrototypeContrast(2, first_epoch=3)
    monkeypatch.setattr(term, "_cluster", fail)
    for epoch in range(3):
        step = step_of(graph, epoch=epoch)
        loss = started(term, step)(step)
        assert (loss.shape, loss.item(), loss.requires_grad) == ((), 0, False)
        assert loss.dtype == step.encoder.user.dtype
    with pytest.raises(AssertionError, match="before the first epoch"):
        started(term, step_of(graph, epoch=3))


def test_from_the_first_epoch_on_every_epoch_has_clusters_of_its_own(graph):
    term, step = PrototypeContrast(2, first_epoch=3), step_of(graph, epoch=3)
    loss = started(term, step)(step)
    assert loss.requires_grad
    assert loss > 0
    before = term.user_centroids
    with torch.no_grad():
        step.encoder.user.add_(torch.randn_like(step.encoder.user))
    started(term, step)
    assert not torch.equal(term.user_centroids, before)


def test_centroids_are_constants_of_length_one_that_no_checkpoint_holds(graph):
    step = step_of(graph)
    term = started(PrototypeContrast(3, first_epoch=0), step)
    for name in ("user", "item"):
        centroids = getattr(term, f"{name}_centroids")
        assert not centroids.requires_grad
        torch.testing.assert_close(centroids.norm(dim=1), torch.ones(3).double())
    assert list(term.parameters()) == []
    assert list(term.state_dict()) == []
    assert len(dict(term.named_buffers())) == 4
    term(step).backward()
    assert step.encoder.user.grad.abs().sum() > 0


def test_groups_that_are_far_apart_are_found():
    pairs = torch.arange(12).expand(2, -1)
    graph = BipartiteNorm()(build_graph(pairs, num_users=12, num_items=12))
    encoder = LightGCN(12, 12, dim=3)
    with torch.no_grad():
        encoder.user.mul_(0.01)
        for k in range(3):
            encoder.user[k::3, k] += 1
    step = Step(encoder, graph, cases.toy_batch(), 0, 0)
    term = started(PrototypeContrast(3, first_epoch=0), step, seed=1)
    cluster = term.user_cluster
    assert all(len(set(cluster[k::3].tolist())) == 1 for k in range(3))
    assert set(cluster[:3].tolist()) == {0, 1, 2}
    for k in range(3):
        mean = encoder.user[k::3].mean(0)
        own = term.user_centroids[cluster[k]]
        torch.testing.assert_close(own, mean / mean.norm())


@pytest.mark.parametrize(("asked", "users", "items"), [(1000, 4, 6), (5, 4, 5)])
def test_there_are_at_most_half_as_many_clusters_as_nodes(graph, asked, users, items):
    term = started(PrototypeContrast(asked, first_epoch=0), step_of(graph))
    assert (len(term.user_centroids), len(term.item_centroids)) == (users, items)
    assert term.user_cluster.shape == (cases.NUM_USERS,)
    assert set(term.user_cluster.tolist()) <= set(range(users))


def test_a_single_node_is_a_cluster():
    graph = BipartiteNorm()(build_graph(cases.pairs((0, 0)), num_users=1, num_items=2))
    encoder = LightGCN(1, 2, dim=3)
    term = PrototypeContrast(first_epoch=0)
    term.on_epoch_start(encoder, graph, 0)
    assert term.user_centroids.shape == term.item_centroids.shape == (1, 3)


def test_the_seed_alone_decides_whatever_the_threads(graph):
    found = []
    for seed, threads in ((0, 1), (0, 2), (1, 1)):
        term = PrototypeContrast(3, first_epoch=0)
        with threadpool_limits(threads):
            started(term, step_of(graph), seed)
        found.append((term.user_centroids, term.item_centroids))
    assert all(torch.equal(a, b) for a, b in zip(*found[:2], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(*found[1:], strict=True))


def test_a_sampled_batch_finds_the_clusters_of_its_nodes(graph):
    step = step_of(graph)
    term = started(PrototypeContrast(3, first_epoch=0), step)
    users, items = torch.randperm(cases.NUM_USERS), torch.randperm(cases.NUM_ITEMS)
    view = BipartiteNorm()(graph.clone())
    view["user"].n_id, view["item"].n_id = users, items
    batch = step.batch
    rows = cases.EdgeBatch(
        users.argsort()[batch.src_index],
        items.argsort()[batch.dst_pos_index],
        batch.dst_neg_index,
        src_n_id=users,
        dst_n_id=items,
    )
    local = Step(step.encoder, view, rows, 0, 0)
    torch.testing.assert_close(term(local), term(step))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_prototypes": 0}, r"num_prototypes must be positive \(got 0\)"),
        ({"first_epoch": -1}, r"first_epoch must not be negative \(got -1\)"),
        ({"prototypes": "some"}, "prototypes must be 'all' or 'batch'"),
        ({"tau": -0.1}, r"tau must be positive \(got -0\.1\)"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        PrototypeContrast(**options)
