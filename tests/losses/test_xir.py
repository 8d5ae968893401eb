import copy

import pytest
import torch

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.graph import build_graph
from pyg_advinfonce.losses import XIR
from tests import cases
from tests.cases import find, toy_batch, toy_tables

COUNT = torch.tensor([4, 2, 1, 1])


def drawn_by(criterion, tables, batch, seed=0):
    """Return how often each item is drawn in one training step."""
    before = criterion.occurrence.clone()
    torch.manual_seed(seed)
    criterion.train()(*tables, batch)
    return criterion.occurrence - before


def sharp():
    """Users 0, 1, 2 like items 1, 2, 0 best, by far; each has item of its number."""
    user = torch.eye(3)
    item = torch.eye(4)[[2, 0, 1, 3], :3] + 1e-3
    index = torch.arange(3)
    return (user, item), EdgeBatch(index, index, index.new_empty(3, 0))


def test_sharp_scores_draw_the_hard_items():
    tables, batch = sharp()
    criterion = XIR(torch.ones(4).long(), tau=0.01, lam=0.0, cache_size=2000)
    criterion.cache = torch.full((2000,), 3)  # what the cache draws is item 3 alone
    count = drawn_by(criterion, tables, batch)
    assert count.tolist() == [1000, 1000, 1000, 3000]
    loss = XIR(torch.ones(4).long(), tau=0.01, cache_size=0)(*tables, batch)
    assert loss.item() == pytest.approx(100, rel=0.02)


def test_inner_products_are_those_of_longer_embeddings():
    """Embeddings of length 1 have one score; longer ones have higher inner products."""
    tables, batch = [z.detach() for z in toy_tables()], toy_batch(6)
    single = [z / z.norm(dim=1, keepdim=True) for z in tables]

    def loss(z, tau, cosine):
        torch.manual_seed(0)
        criterion = find("xir").build(tau=tau, cosine=cosine, cache_size=8)
        return criterion.eval()(*z, batch).item()

    assert loss(single, 0.5, False) == pytest.approx(loss(tables, 0.5, True))
    assert loss([z * 2 for z in single], 2.0, False) == pytest.approx(
        loss(tables, 0.5, True)
    )
    assert loss(tables, 0.5, False) != pytest.approx(loss(tables, 0.5, True))
    assert not find("xir").build(cosine=False).cosine  # nor does it rank by cosine


def test_equal_scores_draw_in_inverse_proportion_to_q():
    user, item = torch.ones(4, 2), torch.ones(4, 2)
    index = torch.arange(4)
    criterion = XIR(COUNT, cache_size=2**15)
    criterion.cache = torch.zeros(2**15).long()
    batch = EdgeBatch(index, index, index.new_empty(4, 0))
    count = drawn_by(criterion, (user, item), batch)
    count[0] -= 4 * 2**14  # the cache's
    share = count / count.sum()
    expected = torch.tensor([1, 2, 4, 4]) / 11
    torch.testing.assert_close(share, expected, rtol=0.02, atol=0)


@pytest.mark.parametrize("number", [1, 5])
def test_draws_pass_no_gradient(number):
    tables, batch = toy_tables(), toy_batch(6, 0)
    criterion = find("xir").build(cache_size=2 * number).double()
    torch.manual_seed(0)
    loss = criterion(*tables, batch)
    assert all(not b.requires_grad for b in criterion.buffers())
    loss.backward()
    cached = torch.isin(torch.arange(cases.NUM_ITEMS), batch.dst_pos_index)
    assert not tables[0].grad[8].any()  # user 8 is not in the batch
    assert tables[1].grad[cached].abs().sum(-1).all()


def test_the_next_cache_holds_what_was_drawn_by_how_often_it_has_been():
    criterion = XIR(torch.ones(4).long(), tau=0.05, cache_size=2**14)
    tables, batch = sharp()
    criterion.occurrence = torch.tensor([2**20, 1, 1, 2**20])
    criterion.cache = torch.full((2**14,), 1)
    batch = EdgeBatch(*(index[:2] for index in batch_indices(batch)))
    drawn_by(criterion, tables, batch)  # items 0 and 1
    found = torch.bincount(criterion.cache, minlength=4)
    assert found.sum() == 2**14
    assert found[2:].tolist() == [0, 0]
    expected = criterion.occurrence[:2] / criterion.occurrence[:2].sum()
    torch.testing.assert_close(found[:2] / 2**14, expected, rtol=0, atol=0.005)


def batch_indices(batch):
    return batch.src_index, batch.dst_pos_index, batch.dst_neg_index


def test_a_step_counts_its_draws_and_keeps_the_cache_s_size(batch):
    criterion, tables = find("xir").build(cache_size=6), toy_tables(torch.float32)
    assert criterion.occurrence.tolist() == [1] * cases.NUM_ITEMS
    for size in (5, 3, 8):  # batches of any size
        count = drawn_by(criterion, tables, toy_batch(size, 0))
        assert count.sum() == 2 * 3 * size
        assert criterion.cache.shape == (6,)
        assert (count[criterion.cache] > 0).all()


def test_the_first_cache_holds_items_with_train_pairs():
    cache = find("xir").build(cache_size=500).cache
    assert cache.unique().tolist() == [*range(cases.NUM_ITEMS - 1)]


def test_a_graph_without_edges_has_a_cache_too():
    graph = build_graph(cases.pairs(), num_users=2, num_items=3)
    criterion = XIR.from_graph(graph, cache_size=50)
    assert criterion.cache.unique().tolist() == [0, 1, 2]
    assert criterion.log_q.exp().tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    ("popularity", "weights"),
    [("count", [4, 2, 1, 1]), ("power", [4**0.75, 2**0.75, 1, 1])],
)
def test_q_is_a_frequency_that_is_never_zero(popularity, weights):
    count = torch.tensor([4, 2, 0, 1])
    found = XIR(count, popularity=popularity).log_q.exp()
    expected = torch.tensor(weights) / sum(weights)
    torch.testing.assert_close(found, expected)


def test_the_logarithm_of_one_pair_is_not_zero():
    found = XIR(torch.tensor([3, 1, 0]), popularity="log").log_q.exp()
    torch.testing.assert_close(found, torch.tensor([0.5, 0.25, 0.25]))


def test_bir_has_no_cache_and_draws_as_many_as_the_batch(batch):
    criterion = find("bir").build()
    before = copy.deepcopy(criterion.state_dict())
    criterion(*toy_tables(torch.float32), batch)
    assert criterion.cache.numel() == 0
    assert all(torch.equal(v, before[k]) for k, v in criterion.state_dict().items())


def test_lam_weighs_the_caches_part():
    tables, batch = toy_tables(torch.float32), toy_batch()
    losses = []
    for lam in (0.0, 1.0, 0.25):
        torch.manual_seed(0)
        losses.append(find("xir").build(lam=lam)(*tables, batch).item())
    expected = 0.75 * losses[0] + 0.25 * losses[1]
    assert losses[2] == pytest.approx(expected, rel=1e-5)


def test_hits_are_masked_where_that_is_asked():
    tables, batch = toy_tables(torch.float32), toy_batch(1, 0)
    hit = XIR(torch.ones(12).long(), cache_size=0)(*tables, batch)
    assert hit.item() == pytest.approx(torch.tensor(2.0).log().item())
    none = XIR(torch.ones(12).long(), cache_size=0, mask_hits=True)(*tables, batch)
    assert none.item() == 0


def test_cached_items_outside_a_sample_are_not_drawn():
    z_user, z_item = toy_tables(torch.float32)
    criterion = find("xir").build(lam=1.0)
    here = torch.tensor([5, 0, 2])
    criterion.cache = torch.tensor([7] * 10 + [2] * 10)
    index = torch.tensor([0, 1])
    sample = EdgeBatch(index, index, index.new_empty(2, 0), dst_n_id=here)
    loss = criterion(z_user, z_item[here], sample)
    user, item = (torch.nn.functional.normalize(z) for z in (z_user, z_item))
    s = user @ item.t() / criterion.tau
    pos = torch.stack([s[0, 5], s[1, 0]])
    expected = (1 + 10 * (s[:2, 2] - pos).exp()).log().mean()
    torch.testing.assert_close(loss, expected)


def test_a_cache_that_is_not_in_the_sample_costs_nothing():
    z_user, z_item = toy_tables(torch.float32)
    criterion = find("xir").build(lam=1.0)
    criterion.cache = torch.full((20,), 7)
    index = torch.tensor([0, 1])
    here = torch.tensor([5, 0])
    sample = EdgeBatch(index, index, index.new_empty(2, 0), dst_n_id=here)
    loss = criterion(z_user, z_item[here], sample)
    loss.backward()
    assert loss.item() == 0
    assert z_item.grad.isfinite().all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lam": 1.5}, r"lam must be in \[0, 1\] \(got 1.5\)"),
        ({"lam": float("nan")}, r"lam must be in \[0, 1\]"),
        ({"cache_size": -1}, r"cache_size must not be negative \(got -1\)"),
        ({"popularity": "rank"}, r"popularity must be one of .* \(got 'rank'\)"),
        ({"cache_q": "x"}, r"'popularity' or 'occurrence' \(got 'x'\)"),
    ],
)
def test_impossible_options(wrong, message):
    with pytest.raises(ValueError, match=message):
        XIR(COUNT, **wrong)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_impossible_counts(value):
    with pytest.raises(ValueError, match=rf"count must hold .* \(got {value}\)"):
        XIR(torch.tensor([3.0, value, 1.0]))


def test_counts_of_zero_weigh_all_items_alike():
    assert XIR(torch.zeros(4)).log_q.exp().tolist() == pytest.approx([1 / 4] * 4)
