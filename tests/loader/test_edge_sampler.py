from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.graph import (
    INTERACTS,
    REV_INTERACTS,
    build_graph,
    num_nodes,
    train_pairs,
)
from pyg_advinfonce.loader import EdgeSampler
from tests import cases, reference
from tests.cases import NUM_ITEMS, TRAIN, pairs

MODES = ("user", "interaction")


def graph_of(edges, num_users, num_items):
    return build_graph(pairs(*edges), num_users=num_users, num_items=num_items)


def drawn(sampler, seed=0):
    """Return an epoch's users, positives and negatives."""
    torch.manual_seed(seed)
    batches = [batch for _, batch in sampler]
    parts = zip(
        *((b.src_index, b.dst_pos_index, b.dst_neg_index) for b in batches), strict=True
    )
    return [torch.cat(part) for part in parts]


@pytest.mark.parametrize("sampling", MODES)
def test_positives_are_known_and_negatives_are_not(graph, sampling):
    known = cases.train_pairs(graph)
    sampler = EdgeSampler(graph, batch_size=8, num_negatives=50, sampling=sampling)
    for user, pos, row in zip(*map(torch.Tensor.tolist, drawn(sampler)), strict=True):
        assert pos in known[user]
        assert not known[user] & set(row)
        assert set(row) <= set(range(NUM_ITEMS))


def test_an_incomplete_last_batch_may_be_kept(graph):
    keys = {"batch_size": 7, "sampling": "interaction"}
    full = EdgeSampler(graph, **keys)
    kept = EdgeSampler(graph, drop_last=False, **keys)
    assert (len(full), len(kept)) == (3, 4)
    sizes = [len(batch.src_index) for _, batch in kept]
    assert sizes == [7, 7, 7, len(TRAIN) - 21]
    user, pos, _ = (part.tolist() for part in drawn(kept))
    assert sorted(zip(user, pos, strict=True)) == sorted(TRAIN)
    assert len(EdgeSampler(graph, batch_size=100, drop_last=False)) == 1
    assert len(EdgeSampler(graph, batch_size=8, drop_last=False)) == 3  # 24 / 8


@given(st.data())
@settings(max_examples=60)
def test_on_any_graph_every_unseen_item_is_drawn_and_no_other(data):
    num_users, num_items = data.draw(st.integers(1, 4)), data.draw(st.integers(2, 8))
    pair = st.tuples(st.integers(0, num_users - 1), st.integers(0, num_items - 1))
    edges = data.draw(st.sets(pair, min_size=1))
    graph = graph_of(edges, num_users, num_items)
    known = cases.train_pairs(graph)
    left = {u for u in known if known[u] and len(known[u]) < num_items}
    if not left:
        with pytest.raises(ConfigError):
            EdgeSampler(graph, batch_size=1)
        return
    sampler = EdgeSampler(graph, batch_size=1, num_negatives=150)
    seen = {}
    for user, pos, row in zip(*map(torch.Tensor.tolist, drawn(sampler)), strict=True):
        assert pos in known[user]
        seen.setdefault(user, set()).update(row)
    for user, items in seen.items():
        assert items == set(reference.unseen(known[user], num_items))
    assert len(seen) == min(len(left), sampler.num_samples)


def test_ranks_select_the_unseen_items_in_order(monkeypatch):
    """The example of docs/methods.md 0.3: of ten items 0, 3, 4 and 9 are known."""
    graph = graph_of([(1, i) for i in (0, 3, 4, 9)] + [(0, 0), (2, 9)], 3, 10)
    sampler = EdgeSampler(graph, batch_size=1, num_negatives=6)
    ranks = (torch.arange(6) + 0.5) / 6  # times the limit: ranks 0 to 5
    monkeypatch.setattr(torch, "rand", lambda shape, **_: ranks.expand(shape).double())
    user = torch.tensor([1])
    assert sampler._negatives(user, 6).tolist() == [[1, 2, 5, 6, 7, 8]]


def test_negatives_are_uniform_for_each_user():
    graph = graph_of([(0, i) for i in (0, 3, 4, 9)] + [(1, 2)], 2, 10)
    sampler = EdgeSampler(graph, batch_size=5, num_negatives=4000)
    user, _, rows = drawn(sampler)
    for chosen, known in ((0, {0, 3, 4, 9}), (1, {2})):
        count = Counter(rows[user == chosen].flatten().tolist())
        expected = reference.unseen(known, 10)
        assert set(count) == set(expected)
        assert chisquare([count[i] for i in expected]).pvalue > 1e-3


def test_a_users_positive_is_uniform_over_its_items():
    graph = graph_of([(0, i) for i in (1, 4, 5, 7)], 1, 9)
    sampler = EdgeSampler(graph, batch_size=4, num_negatives=1)
    count = Counter(
        item for seed in range(500) for item in drawn(sampler, seed)[1].tolist()
    )
    assert set(count) == {1, 4, 5, 7}
    assert chisquare(list(count.values())).pvalue > 1e-3


def test_g9_users_occur_equally_often():
    """1,363 pairs of 290 users: 203 users five times, 87 four times."""
    edges = [(k % 290, k // 290) for k in range(1363 - 10)]
    edges += [(0, 20 + k) for k in range(10)]  # activity makes no difference
    graph = graph_of(edges, 290, 40)
    sampler = EdgeSampler(graph, batch_size=1, num_negatives=1)
    assert sampler.num_samples == 1363
    count = Counter(drawn(sampler)[0].tolist())
    assert Counter(count.values()) == {5: 203, 4: 87}


def test_users_without_items_are_no_users(graph):
    sampler = EdgeSampler(graph, batch_size=1)
    count = Counter(drawn(sampler)[0].tolist())
    assert set(count) == set(range(8))
    assert max(count.values()) - min(count.values()) <= 1


def test_by_interaction_each_pair_occurs_once(graph):
    sampler = EdgeSampler(graph, batch_size=1, sampling="interaction")
    user, pos, _ = drawn(sampler)
    assert sorted(zip(user.tolist(), pos.tolist(), strict=True)) == sorted(TRAIN)


@pytest.mark.parametrize("sampling", MODES)
@pytest.mark.parametrize(("batch_size", "steps"), [(1, 24), (5, 4), (7, 3), (24, 1)])
def test_an_incomplete_batch_is_dropped(graph, sampling, batch_size, steps):
    sampler = EdgeSampler(graph, batch_size=batch_size, sampling=sampling)
    batches = list(sampler)
    assert len(sampler) == len(batches) == steps
    for view, batch in batches:
        assert view is graph
        assert batch.src_index.shape == batch.dst_pos_index.shape == (batch_size,)
        assert batch.dst_neg_index.shape == (batch_size, 64)
        assert batch.src_n_id is batch.dst_n_id is batch.neg_mask is None


def test_coat_has_one_step():
    edges = [(k % 290, k // 290) for k in range(1363)]
    assert len(EdgeSampler(graph_of(edges, 290, 295), batch_size=1024)) == 1


def test_a_batch_larger_than_the_data(graph):
    with pytest.raises(ConfigError, match=r"batch_size 25 exceeds the 24 train pairs"):
        EdgeSampler(graph, batch_size=25)


def test_a_graph_without_edges():
    with pytest.raises(ConfigError, match="exceeds the 0 train pairs"):
        EdgeSampler(graph_of((), 2, 3), batch_size=1)


def test_users_who_have_seen_everything_are_left_out():
    graph = graph_of([(0, 0), (0, 1), (0, 2), (1, 1)], 2, 3)
    sampler = EdgeSampler(graph, batch_size=1, num_negatives=2)
    assert sampler.num_samples == 1
    assert drawn(sampler)[0].tolist() == [1]
    without = EdgeSampler(graph, batch_size=1, num_negatives=0, sampling="interaction")
    assert set(drawn(without)[0].tolist()) == {0, 1}


def test_positives_may_be_negatives_too():
    """UltraGCN's own way: uniform over all items, whoever asks."""
    graph = graph_of(
        [(0, i) for i in (0, 3, 4, 9)] + [(1, i) for i in range(10)], 2, 10
    )
    sampler = EdgeSampler(
        graph, batch_size=14, num_negatives=1000, exclude_positives=False
    )
    assert sampler.num_samples == 14  # who has seen everything has negatives as well
    user, _, rows = drawn(sampler)
    assert rows.dtype == torch.long
    for chosen in (0, 1):
        count = Counter(rows[user == chosen].flatten().tolist())
        assert set(count) == set(range(10))
        assert chisquare(list(count.values())).pvalue > 1e-3


def test_no_negatives(graph):
    sampler = EdgeSampler(graph, batch_size=3, num_negatives=0)
    for _, batch in sampler:
        assert batch.dst_neg_index.shape == (3, 0)
        assert batch.dst_neg_index.dtype == torch.long


def test_one_negative_keeps_its_dimension(graph):
    _, batch = next(iter(EdgeSampler(graph, batch_size=3, num_negatives=1)))
    assert batch.dst_neg_index.shape == (3, 1)


def by_binary_search(graph, user, draw):
    """Return the negatives of draws by a search over the keys of all pairs."""
    pairs, (_, num_items) = train_pairs(graph), num_nodes(graph)
    start, degree = pairs.start[user].long(), pairs.degree[user]
    owner = torch.arange(len(pairs.degree)).repeat_interleave(pairs.degree)
    place = torch.arange(len(owner)) - pairs.start[owner]
    keys = owner * (num_items + 1) + pairs.item - place
    rank = (draw * (num_items - degree).unsqueeze(-1)).long()
    asked = rank + (user * (num_items + 1)).unsqueeze(-1)
    return rank + torch.searchsorted(keys, asked, right=True) - start.unsqueeze(-1)


@pytest.mark.parametrize("pairs_at_once", [1, 50, 2**20])
@pytest.mark.parametrize("power", [0.0, 1.5, -3.0])
def test_negatives_are_those_of_a_binary_search(monkeypatch, power, pairs_at_once):
    """Items that are spread, that crowd at the first rows and at the last rows."""
    place = "pyg_advinfonce.loader.edge_sampler._PAIRS_AT_ONCE"
    monkeypatch.setattr(place, pairs_at_once)
    generator = torch.Generator().manual_seed(0)
    weight = torch.arange(1, 401).double().pow(-power)
    user = torch.randint(30, (3000,), generator=generator)
    item = torch.multinomial(weight, 3000, True, generator=generator)
    all_but_one = torch.stack([torch.full((399,), 30), torch.arange(1, 400)])
    edges = torch.cat([torch.stack([user, item]), all_but_one], 1)
    graph = build_graph(edges, num_users=33, num_items=400)  # two users have no item
    sampler = EdgeSampler(graph, batch_size=31, num_negatives=500)
    for _, batch in sampler:
        assert batch.dst_neg_index.dtype == torch.long
    user = batch.src_index.unique()
    for draw in (
        torch.rand(len(user), 3000, generator=generator, dtype=torch.float64),
        torch.linspace(0, 1, 4001)[:-1].double().expand(len(user), -1),
        torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64).expand(len(user), -1),
    ):
        monkeypatch.setattr(torch, "rand", lambda *_, found=draw, **__: found)
        found = sampler._negatives(user, draw.size(1))
        assert torch.equal(found, by_binary_search(graph, user, draw))


@pytest.mark.parametrize(
    ("size", "dtype"), [(2**15 - 1, torch.int16), (2**15, torch.int32)]
)
def test_users_with_many_items_need_wider_cells_and_draw_the_same(size, dtype):
    edges = torch.stack([torch.zeros(size).long(), 2 * torch.arange(size)])
    graph = build_graph(edges, num_users=1, num_items=90_000)
    sampler = EdgeSampler(graph, batch_size=50, num_negatives=300)
    assert sampler._passed.table.dtype == dtype
    assert sampler._passed.table.nbytes == 4 * size
    torch.manual_seed(0)
    batch = sampler.draw(torch.arange(50))
    torch.manual_seed(0)
    torch.rand(50, dtype=torch.float64)  # the positives
    draw = torch.rand(50, 300, dtype=torch.float64)
    expected = by_binary_search(graph, torch.zeros(50).long(), draw)
    assert torch.equal(batch.dst_neg_index, expected)


def test_the_sampler_reads_the_pairs_of_the_graph(graph):
    sampler = EdgeSampler(graph, batch_size=3)
    assert sampler._pairs is train_pairs(graph)


@pytest.mark.parametrize("num_users", [30, 60_000])
def test_edges_may_be_32_bit(num_users):
    last = num_users - 1
    edges = [(0, 0), (0, 59_999), (last, 31_000), (last, 59_999), (last, 59_998)]
    graph = graph_of(edges, num_users, 60_000)
    expected = drawn(EdgeSampler(graph, batch_size=5, num_negatives=20))
    for edge_type in (INTERACTS, REV_INTERACTS):
        graph[edge_type].edge_index = graph[edge_type].edge_index.int()
    found = drawn(EdgeSampler(graph, batch_size=5, num_negatives=20))
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a.long(), b)


@pytest.mark.parametrize("sampling", MODES)
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_all_negatives_are_the_other_items_than_the_train_items(graph, sampling, dtype):
    known = cases.train_pairs(graph)
    for edge_type in (INTERACTS, REV_INTERACTS):
        graph[edge_type].edge_index = graph[edge_type].edge_index.to(dtype)
    keys = {"batch_size": 7, "sampling": sampling}
    sampler = EdgeSampler(graph, num_negatives="all", **keys)
    torch.manual_seed(4)
    for _, batch in sampler:
        assert batch.dst_neg_index.shape == (7, 0)
        edges = batch.seen[0].tolist()
        assert edges == sorted(edges)
        found = [set() for _ in range(7)]
        for edge, item in batch.seen.t().tolist():
            found[edge].add(item)
        assert found == [known[user] for user in batch.user_id.tolist()]
        assert len(edges) == sum(map(len, found))  # none twice


@pytest.mark.parametrize("sampling", MODES)
def test_the_positives_do_not_depend_on_the_negatives(graph, sampling):
    keys = {"batch_size": 24, "sampling": sampling}
    sampled = drawn(EdgeSampler(graph, num_negatives=3, **keys))
    exact = drawn(EdgeSampler(graph, num_negatives="all", **keys))
    assert torch.equal(sampled[0], exact[0])
    assert torch.equal(sampled[1], exact[1])


def test_all_negatives_may_include_the_train_items(graph):
    sampler = EdgeSampler(
        graph, batch_size=7, num_negatives="all", exclude_positives=False
    )
    for _, batch in sampler:
        assert batch.seen.shape == (2, 0)


def test_users_without_a_negative_have_no_edge_among_all_negatives():
    graph = graph_of([(0, 0), (0, 1), (1, 0)], 2, 2)
    sampler = EdgeSampler(graph, batch_size=1, num_negatives="all")
    assert {int(batch.src_index) for _, batch in sampler} == {1}


def test_edges_may_come_in_any_order_and_layout(graph):
    expected = drawn(EdgeSampler(graph, batch_size=24))
    order = torch.randperm(len(TRAIN), generator=torch.Generator().manual_seed(3))
    shuffled = graph[INTERACTS].edge_index[:, order]
    graph[INTERACTS].edge_index = shuffled.t().contiguous().t()
    for a, b in zip(drawn(EdgeSampler(graph, batch_size=24)), expected, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("sampling", MODES)
def test_a_seed_decides_and_epochs_differ(graph, sampling):
    sampler = EdgeSampler(graph, batch_size=6, sampling=sampling)
    first, again, other = drawn(sampler, 0), drawn(sampler, 0), drawn(sampler, 1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[2], other[2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampling": "edge"}, r"'user' or 'interaction' \(got 'edge'\)"),
        ({"batch_size": 0}, r"batch_size must be positive.* \(got 0, 64\)"),
        ({"num_negatives": -1}, r"num_negatives must not be negative \(got 1024, -1\)"),
        ({"num_negatives": "every"}, r"\(got 1024, 'every'\): pass a number, or 'all'"),
    ],
)
def test_impossible_options(graph, options, message):
    with pytest.raises(ConfigError, match=message):
        EdgeSampler(graph, **options)
