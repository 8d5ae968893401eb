from dataclasses import replace

import pytest
import torch
from threadpoolctl import threadpool_limits

from benchmarks.largest import LargestArray
from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.errors import GraphError
from pyg_advinfonce.graph import INTERACTS, build_graph
from pyg_advinfonce.objective import Step
from pyg_advinfonce.terms import SVDContrast, svd_contrast
from pyg_advinfonce.transforms import BipartiteNorm
from tests import cases, method_cases
from tests.cases import NUM_ITEMS, NUM_USERS
from tests.terms.test_contrast import started, step_of

SUM = (1.0, 1.0, 1.0)
FULL = min(NUM_USERS, NUM_ITEMS)


def make(rank=5, tau=0.2, size=(NUM_USERS, NUM_ITEMS), **options):
    return SVDContrast(*size, rank, tau, **options)


def random_graph(num_users=60, num_items=50, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.rand(num_users, num_items, generator=generator) < 0.1
    graph = build_graph(pairs.nonzero().t(), num_users=num_users, num_items=num_items)
    return BipartiteNorm()(graph)


def fit(graph, rank=5, seed=0):
    torch.manual_seed(seed)
    term = make(rank, size=(60, 50)).double()
    term.on_epoch_start(None, graph, 0)
    return term


def product(term):
    return (term.user * term.scale) @ term.item.t()


def adjacency(graph, num_users=NUM_USERS):
    return method_cases.dense(graph)[:num_users, num_users:]


@pytest.mark.parametrize("alpha", [SUM, (0.0, 0.5, 2.0)])
def test_of_full_rank_the_other_view_is_the_main_view(graph, alpha):
    step = step_of(graph, alpha=alpha, propagate_layers=2)
    term = started(make(FULL, 0.7, alpha=alpha).double(), step)
    torch.testing.assert_close(product(term), adjacency(graph), rtol=0, atol=1e-7)
    z, batch, wanted = step.embeddings, step.batch, 0.0
    for rows, index in ((z.user, batch.src_index), (z.item, batch.dst_pos_index)):
        for node in index:
            scores = rows @ rows[node] / 0.7
            part = scores.exp().sum().log() - scores[node].clamp(-5, 5)
            wanted = wanted + part / len(index)
    torch.testing.assert_close(term(step), wanted)


@pytest.mark.parametrize("seed", [0, 1])
def test_no_matrix_of_this_rank_is_nearer(seed):
    graph = random_graph(seed=seed)
    dense = adjacency(graph, 60)
    term, (_, wanted, _) = fit(graph), torch.linalg.svd(dense)
    torch.testing.assert_close(term.scale, wanted[:5], rtol=1e-4, atol=0)
    least = wanted[5:].norm()
    assert least <= (dense - product(term)).norm() <= least * (1 + 1e-4)
    for factor in (term.user, term.item):
        torch.testing.assert_close(factor.t() @ factor, torch.eye(5).double())


def test_factors_are_of_the_weights_with_which_the_encoder_propagates():
    graph = random_graph()
    plain = product(fit(graph, 50))
    graph[INTERACTS].edge_weight *= 3
    torch.testing.assert_close(product(fit(graph, 50)), 3 * plain)
    del graph[INTERACTS].edge_weight
    with pytest.raises(GraphError, match=r"lack weights: apply BipartiteNorm\(\)"):
        fit(graph)


def test_a_seed_decides_the_factors_whatever_the_threads():
    graph, names = random_graph(), ("user", "scale", "item")
    first, second, other = fit(graph), fit(graph), fit(graph, seed=1)
    with threadpool_limits(1):
        alone = fit(graph)
    for name in names:
        assert torch.equal(first.get_buffer(name), second.get_buffer(name))
        assert torch.equal(first.get_buffer(name), alone.get_buffer(name))
    assert not torch.equal(first.user, other.user)


def test_finding_the_factors_draws_nothing_of_the_training_s(graph):
    term = make()
    torch.manual_seed(3)
    term.on_epoch_start(None, graph, 0)
    found = torch.rand(())
    torch.manual_seed(3)
    assert found == torch.rand(())


def test_factors_are_found_once_and_part_of_the_weights(graph, monkeypatch):
    term = started(make(), step_of(graph))
    saved = {name: x.clone() for name, x in term.state_dict().items()}
    assert sorted(saved) == ["item", "scale", "user"]
    assert [list(saved[name].shape) for name in sorted(saved)] == [[12, 5], [5], [9, 5]]
    assert list(term.parameters()) == []

    def fail(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(svd_contrast, "_truncated_svd", fail)
    loaded = make()
    loaded.load_state_dict(saved)
    for known in (term, loaded):
        known.on_epoch_start(None, graph, 7)
        assert all(torch.equal(known.get_buffer(n), x) for n, x in saved.items())
    with pytest.raises(AssertionError, match="computed again"):
        make().on_epoch_start(None, graph, 7)


@pytest.mark.parametrize("kept", [4, 1, 0])
def test_negatives_that_are_not_masked_are_contrasted_as_positives(graph, kept):
    mask = torch.arange(4).expand(5, 4) >= 4 - kept
    batch = cases.toy_batch()
    step = step_of(graph, replace(batch, neg_mask=mask), alpha=SUM)
    term = started(make(with_negatives=True).double(), step)
    items = torch.cat([batch.dst_pos_index, batch.dst_neg_index[mask]])
    users = batch.src_index.repeat(1 + kept)  # their mean is the same
    more = EdgeBatch(users, items, torch.empty(len(items), 0).long())
    plain = started(make().double(), step)
    torch.testing.assert_close(term(step), plain(step_of(graph, more, alpha=SUM)))
    assert torch.isclose(term(step), plain(step)) == (kept == 0)
    if kept == 4:
        unmasked = step_of(graph, batch, alpha=SUM)
        torch.testing.assert_close(term(unmasked), term(step))


@pytest.mark.parametrize("tau", [1e-3, 0.2])
def test_scores_of_any_size_stay_finite(graph, tau):
    step = step_of(graph, alpha=SUM)
    with torch.no_grad():
        step.encoder.user.mul_(100)
    term = started(make(tau=tau).double(), step)
    loss = term(step)
    loss.backward()
    assert loss.isfinite()
    assert loss > 1e3
    assert step.encoder.user.grad.isfinite().all()


def test_half_precision_is_contrasted_in_single_precision(graph):
    step = step_of(graph, alpha=SUM, propagate_layers=2)
    term = started(make().double(), step)
    wanted = term(step)
    low = [(u.bfloat16(), i.bfloat16()) for u, i in step.embeddings.layers]
    z = replace(step.embeddings, layers=low)
    z = replace(z, user=z.user.bfloat16(), item=z.item.bfloat16())
    given = Step(step.encoder, graph, step.batch, 0, 0, z)
    found = term.bfloat16()(given)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(wanted.item(), rel=0.02)


def test_neither_the_low_rank_graph_nor_all_scores_are_in_memory():
    users, items = 3000, 2000
    pairs = torch.stack([torch.arange(users), torch.arange(users) % items])
    graph = BipartiteNorm()(build_graph(pairs, num_users=users, num_items=items))
    encoder = LightGCN(users, items, 8, alpha=SUM, propagate_layers=2)
    term = make(size=(users, items))
    index = torch.arange(1500)
    batch = EdgeBatch(index, index, torch.empty(1500, 0).long())
    with LargestArray() as largest:
        term.on_epoch_start(encoder, graph, 0)
        term(Step(encoder, graph, batch, 0, 0)).backward()
    assert encoder.user.nbytes <= largest.num_bytes <= 4 * 2**20 < 4 * users * 1500


def test_the_rank_is_at_most_that_of_the_adjacency(graph):
    term, full = (started(make(rank), step_of(graph)) for rank in (FULL + 3, FULL))
    assert [list(x.shape) for x in term.buffers()] == [[9, 9], [9], [12, 9]]
    torch.testing.assert_close(product(term), product(full))
