"""The values of users are, on the average and bit for bit, those of PyG's metrics."""

import math
import random
import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from pyg_advinfonce.errors import GraphError, NonFiniteLossError
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.evaluation import ranking as candidate_ranking
from pyg_advinfonce.graph import build_graph
from pyg_advinfonce.ops import top_items
from pyg_advinfonce.scorer import EmbeddingScores
from tests.device_mode import DeviceIsNamed
from tests.scorers import SCORERS, naive_scores

NAMES = ("recall", "ndcg", "hr", "precision", "mrr")


def pairs(*edges):
    return torch.tensor(edges, dtype=torch.long).view(-1, 2).t()


def naive_metrics(ranking, labels, k):
    """Metrics of one user, rank by rank. ``ranking`` holds no padding."""
    ranks = [r for r, item in enumerate(ranking[:k], start=1) if item in labels]
    ideal = range(1, min(len(labels), k) + 1)
    return {
        "recall": len(ranks) / len(labels),
        "ndcg": sum(1 / math.log2(r + 1) for r in ranks)
        / sum(1 / math.log2(r + 1) for r in ideal),
        "hr": float(bool(ranks)),
        "precision": len(ranks) / k,
        "mrr": 1 / ranks[0] if ranks else 0.0,
    }


class Oracle:
    """The protocol with sets and loops, on plain lists of pairs."""

    def __init__(self, train, splits, candidates, strict):
        self.known = {"train": set(train)} | {n: set(p) for n, p in splits.items()}
        self.candidates = candidates
        self.strict = strict

    def hidden(self, split):
        if split == "train":
            return set()
        names = {"train"} if split == "valid" else set(self.known) - {split}
        hidden = set().union(*(self.known[n] for n in names))
        return hidden if self.strict else hidden - self.known[split]

    def labels(self, split):
        labels = {}
        for user, item in sorted(self.known[split] - self.hidden(split)):
            if item in self.candidates:
                labels.setdefault(user, set()).add(item)
        return labels

    def ranking(self, scores, user, split):
        hidden = self.hidden(split)
        kept = [i for i in sorted(self.candidates) if (user, i) not in hidden]
        return sorted(kept, key=lambda i: (-scores[user][i], i))

    def evaluate(self, scores, split, k):
        rows = [
            naive_metrics(self.ranking(scores, user, split), labels, k)
            for user, labels in self.labels(split).items()
        ]
        return {
            f"{split}/{n}@{k}": np.mean([row[n] for row in rows]).item() for n in NAMES
        }


@st.composite
def worlds(draw):
    """Draw a small graph, its oracle, and embeddings with exact, often equal scores."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = random.Random(seed)
    num_users, num_items = rng.randint(1, 7), rng.randint(1, 12)
    strict, masked = rng.random() < 0.5, rng.random() < 0.5

    def edges(density):
        return [
            (u, i)
            for u in range(num_users)
            for i in range(num_items)
            if rng.random() < density
        ]

    train = edges(rng.choice([0.0, 0.3, 0.7]))
    names = ["valid", "test", "test_gamma_10"][: rng.randint(1, 3)]
    splits = {name: edges(rng.choice([0.1, 0.3])) for name in names}
    candidates = set(range(num_items))
    mask = None
    if masked:
        candidates = {i for i in candidates if rng.random() < 0.6} or {0}
        mask = torch.tensor([i in candidates for i in range(num_items)])
    graph = build_graph(
        pairs(*train),
        num_users=num_users,
        num_items=num_items,
        splits={name: pairs(*edges) for name, edges in splits.items()},
        candidate_mask=mask,
    )
    generator = torch.Generator().manual_seed(seed)
    width = rng.choice([1, 3])
    z_user, z_item = (
        torch.randint(-2, 3, (n, width), generator=generator).float()
        for n in (num_users, num_items)
    )
    return graph, Oracle(train, splits, candidates, strict), z_user, z_item


@settings(max_examples=200)
@given(worlds(), st.lists(st.integers(1, 15), min_size=1, max_size=3), st.data())
def test_agrees_with_the_naive_protocol(world, ks, data):
    graph, oracle, z_user, z_item = world
    chunk_size = data.draw(st.none() | st.integers(1, len(z_user)))
    evaluator = Evaluator(graph, k=ks, strict=oracle.strict, chunk_size=chunk_size)
    scores = (z_user @ z_item.T).tolist()
    for split in oracle.known:
        if not oracle.labels(split):
            with pytest.raises(GraphError, match=f"positive of split '{split}'"):
                evaluator(z_user, z_item, split)
            continue
        expected = {}
        for k in sorted(set(ks)):
            expected |= oracle.evaluate(scores, split, k)
        result = evaluator(z_user, z_item, split)
        assert list(result) == list(expected)
        assert result == pytest.approx(expected, abs=1e-6)


@settings(max_examples=50)
@given(worlds(), st.integers(1, 15))
def test_every_user_agrees_with_the_naive_protocol(world, k):
    graph, oracle, z_user, z_item = world
    evaluator, scores = Evaluator(graph, k=k, strict=oracle.strict), z_user @ z_item.T
    for split in [name for name in oracle.known if oracle.labels(name)]:
        found, labels = (
            evaluator.per_user(EmbeddingScores(z_user, z_item), split),
            oracle.labels(split),
        )
        assert found.user.tolist() == sorted(labels)
        for row, user in enumerate(sorted(labels)):
            ranking = oracle.ranking(scores.tolist(), user, split)
            for name, value in naive_metrics(ranking, labels[user], k).items():
                assert float(found.values[f"{name}@{k}"][row]) == pytest.approx(value)
        assert found.means() == evaluator(z_user, z_item, split)


@settings(max_examples=100)
@given(worlds(), st.integers(1, 15), st.data())
def test_rank_agrees_with_the_naive_protocol(world, k, data):
    graph, oracle, z_user, z_item = world
    chunk_size = data.draw(st.none() | st.integers(1, len(z_user)))
    users = data.draw(st.lists(st.integers(0, len(z_user) - 1), max_size=9))
    split = data.draw(st.sampled_from(sorted(oracle.known)))
    evaluator = Evaluator(graph, k=k, strict=oracle.strict, chunk_size=chunk_size)
    user = torch.tensor(users, dtype=torch.long)
    scores = (z_user @ z_item.T).tolist()
    expected = [(oracle.ranking(scores, u, split) + [-1] * k)[:k] for u in users]
    assert (
        evaluator.rank(EmbeddingScores(z_user, z_item), user, split).tolist()
        == expected
    )


@settings(max_examples=50)
@given(worlds())
def test_counts_agree_with_the_naive_protocol(world):
    graph, oracle, _, _ = world
    evaluator = Evaluator(graph, strict=oracle.strict)
    for split, known in oracle.known.items():
        labels = oracle.labels(split)
        num_labels = sum(map(len, labels.values()))
        assert evaluator.counts(split) == {
            "users": len(labels),
            "positives": num_labels,
            "skipped_users": len({u for u, _ in known}) - len(labels),
            "dropped_positives": len(known) - num_labels,
        }


def one_user(num_items, test, *, train=(), **options):
    return build_graph(
        pairs(*((0, i) for i in train)),
        num_users=1,
        num_items=num_items,
        splits={"test": pairs(*((0, i) for i in test))},
        **options,
    )


def embeddings_for(ranking, num_items):
    """Return embeddings of one user who prefers the items in this order."""
    score = torch.full((num_items, 1), -1.0)
    score[ranking, 0] = torch.arange(len(ranking), 0, -1, dtype=torch.float)
    return torch.ones(1, 1), score


@pytest.mark.parametrize(
    ("labels", "recall", "ndcg"),
    [([3, 7, 8], 2 / 3, 0.47762370), ([3, 7, 8, 10, 11, 12, 13], 2 / 7, 0.34519134)],
)
def test_golden_metrics(labels, recall, ndcg):  # docs/methods.md 10, G4
    evaluator = Evaluator(one_user(14, labels), k=5)
    result = evaluator(*embeddings_for([5, 3, 9, 1, 7], 14), "test")
    expected = {
        "recall": recall,
        "ndcg": ndcg,
        "hr": 1,
        "precision": 2 / 5,
        "mrr": 1 / 2,
    }
    assert result == pytest.approx({f"test/{n}@5": v for n, v in expected.items()})


def test_ndcg_agrees_with_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    z_user, z_item = (torch.randn(n, 8, generator=generator) for n in (40, 60))
    relevant = torch.rand(40, 60, generator=generator) < 0.1
    relevant[:, 0] = True
    graph = build_graph(
        pairs(), num_users=40, num_items=60, splits={"test": relevant.nonzero().t()}
    )
    result = Evaluator(graph, k=20)(z_user, z_item, "test")
    expected = ndcg_score(relevant.numpy(), (z_user @ z_item.T).numpy(), k=20)
    assert result["test/ndcg@20"] == pytest.approx(expected, abs=1e-6)


def test_ranking_known_pairs_first_gains_nothing():
    graph = build_graph(
        pairs((0, 0), (0, 1)),
        num_users=1,
        num_items=6,
        splits={
            "valid": pairs((0, 2)),
            "test": pairs((0, 4)),
            "test_gamma_10": pairs((0, 3)),
        },
    )
    z_user = torch.ones(1, 1)
    leaking = torch.tensor([3e38, 3e38, 3e38, 3e38, 1, 0]).view(-1, 1)
    evaluator = Evaluator(graph, k=3)
    user = torch.tensor([0])
    assert evaluator.rank(EmbeddingScores(z_user, leaking), user, "test").tolist() == [
        [4, 5, -1]
    ]
    assert evaluator.rank(EmbeddingScores(z_user, leaking), user, "valid").tolist() == [
        [2, 3, 4]
    ]
    assert evaluator(z_user, leaking, "test")["test/mrr@3"] == 1


@pytest.mark.parametrize(
    ("strict", "recall", "positives"), [(False, 1 / 2, 2), (True, 0, 1)]
)
def test_a_train_pair_that_is_also_in_test(strict, recall, positives):
    evaluator = Evaluator(one_user(5, [0, 3], train=[0, 1]), k=1, strict=strict)
    result = evaluator(*embeddings_for([0, 1, 2, 3, 4], 5), "test")
    assert result["test/recall@1"] == pytest.approx(recall)
    assert evaluator.counts("test")["positives"] == positives


def test_strict_leaves_a_perfect_model_perfect():
    evaluator = Evaluator(one_user(5, [0, 3], train=[0, 1]), k=1, strict=True)
    result = evaluator(*embeddings_for([3, 0, 1, 2, 4], 5), "test")
    assert set(result.values()) == {1.0}


def test_users_without_positives_are_not_counted():
    graph = build_graph(
        pairs((1, 0)),
        num_users=4,
        num_items=3,
        splits={"test": pairs((0, 1), (3, 2))},
        candidate_mask=torch.tensor([True, True, False]),
    )
    evaluator = Evaluator(graph, k=1)
    assert evaluator.counts("test") == {
        "users": 1,
        "positives": 1,
        "skipped_users": 1,
        "dropped_positives": 1,
    }
    result = evaluator(torch.ones(4, 1), torch.tensor([[0.0], [1], [2]]), "test")
    assert result["test/hr@1"] == 1


def random_world(seed=0, num_users=50, num_items=40):
    """Return a graph and embeddings whose scores are exact, with some ties."""
    generator = torch.Generator().manual_seed(seed)
    draw = torch.rand(num_users, num_items, generator=generator)
    train, test = (draw < 0.1).nonzero().t(), (draw > 0.9).nonzero().t()
    z_user, z_item = (
        torch.randint(-9, 10, (n, 4), generator=generator).float()
        for n in (num_users, num_items)
    )
    return train, test, z_user, z_item


def evaluate(train, test, z_user, z_item, **options):
    graph = build_graph(
        train, num_users=len(z_user), num_items=len(z_item), splits={"test": test}
    )
    return Evaluator(graph, **options)(z_user, z_item, "test")


def renamed(oracle, user, item):
    """Return an oracle's graph with other ids of users and items."""
    known = {
        name: pairs(*((user[u], item[i]) for u, i in edges))
        for name, edges in oracle.known.items()
    }
    is_candidate = torch.zeros(len(item), dtype=torch.bool)
    is_candidate[[item[i] for i in oracle.candidates]] = True
    return build_graph(
        known.pop("train"),
        num_users=len(user),
        num_items=len(item),
        splits=known,
        candidate_mask=is_candidate,
    )


@settings(max_examples=100)
@given(
    worlds(),
    st.integers(1, 15),
    st.sampled_from(["optimistic", "pessimistic"]),
    st.data(),
)
def test_neither_names_nor_chunks_matter(world, k, ties, data):
    graph, oracle, z_user, z_item = world
    user = data.draw(st.permutations(range(len(z_user))))
    item = data.draw(st.permutations(range(len(z_item))))
    chunk_size = data.draw(st.integers(1, len(z_user)))
    options = {"k": k, "strict": oracle.strict, "ties": ties}
    plain = Evaluator(graph, **options)
    other = Evaluator(renamed(oracle, user, item), chunk_size=chunk_size, **options)
    moved = torch.empty_like(z_user), torch.empty_like(z_item)
    moved[0][user], moved[1][item] = z_user, z_item
    for split in [name for name in oracle.known if oracle.labels(name)]:
        before = plain.per_user(EmbeddingScores(z_user, z_item), split)
        after = other.per_user(EmbeddingScores(*moved), split)
        order = torch.tensor(user)[before.user].argsort()
        assert torch.equal(torch.tensor(user)[before.user][order], after.user)
        for name, value in before.values.items():
            assert torch.equal(value[order], after.values[name])


@settings(max_examples=50)
@given(worlds())
def test_metrics_are_shares_and_longer_lists_lose_nothing(world):
    graph, oracle, z_user, z_item = world
    ks = (1, 2, 3, 5, 8, 13)
    evaluator = Evaluator(graph, k=ks, strict=oracle.strict)
    for split in [name for name in oracle.known if oracle.labels(name)]:
        found = evaluator.per_user(EmbeddingScores(z_user, z_item), split).values
        assert all(
            ((value >= 0) & (value <= 1 + 1e-6)).all() for value in found.values()
        )
        for shorter, longer in pairwise(ks):
            for name in ("recall", "hr", "mrr"):
                assert (found[f"{name}@{longer}"] >= found[f"{name}@{shorter}"]).all()
            few, many = (k * found[f"precision@{k}"] for k in (shorter, longer))
            assert (many >= few - 1e-6).all()


def test_permuting_item_ids_changes_nothing():
    train, test, z_user, _ = random_world()
    z_item = torch.randn(40, 4, generator=torch.Generator().manual_seed(1))
    perm = torch.randperm(40, generator=torch.Generator().manual_seed(2))
    moved = torch.empty_like(z_item)
    moved[perm] = z_item
    before = evaluate(train, test, z_user, z_item)
    train, test = (torch.stack([p[0], perm[p[1]]]) for p in (train, test))
    assert evaluate(train, test, z_user, moved) == before


@pytest.mark.parametrize("factor", [0.25, 2, 3])
def test_scaling_a_user_changes_nothing(factor):
    train, test, z_user, z_item = random_world()
    before = evaluate(train, test, z_user, z_item)
    z_user[::2] *= factor
    assert evaluate(train, test, z_user, z_item) == before


@pytest.mark.parametrize("chunk_size", [1, 7, 50, 1000])
def test_chunks_change_nothing(chunk_size):
    world = random_world()
    assert evaluate(*world, chunk_size=chunk_size) == evaluate(*world)


def limit_memory(monkeypatch, most, error):
    """Let selection fail for more than so many users at once."""

    def select(scores, k):
        if len(scores) > most:
            raise error
        return top_items(scores, k)

    monkeypatch.setattr(candidate_ranking, "top_items", select)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("CUDA out of memory. Tried 3 GiB")]
)
def test_out_of_memory_halves_the_chunk_and_ranks_again(monkeypatch, error):
    train, test, z_user, z_item = random_world()
    graph = build_graph(train, num_users=50, num_items=40, splits={"test": test})
    user, plain = torch.arange(50), Evaluator(graph)
    expected = plain(z_user, z_item, "test")
    everyone = plain.rank(EmbeddingScores(z_user, z_item), user, "test")
    limit_memory(monkeypatch, 5, error)
    evaluator = Evaluator(graph)
    number = evaluator.counts("test")["users"]
    with pytest.warns(UserWarning, match="memory while ranking split 'test'") as said:
        assert evaluator(z_user, z_item, "test") == expected
    sizes = [
        int(re.search(r"with (\d+) users at once$", str(w.message))[1]) for w in said
    ]
    assert sizes[0] == number // 2
    assert sizes[-1] <= 5 < 2 * sizes[-1] + 2
    assert evaluator(z_user, z_item, "test") == expected  # and says no more
    assert torch.equal(
        evaluator.rank(EmbeddingScores(z_user, z_item), user, "test"), everyone
    )


def test_where_one_user_does_not_fit_it_is_an_error(monkeypatch):
    limit_memory(monkeypatch, 0, MemoryError("no more"))
    evaluator = Evaluator(one_user(3, [1]), chunk_size=1)
    with pytest.raises(MemoryError, match="no more"):
        evaluator(*embeddings_for([1], 3), "test")


def test_another_error_is_not_tried_again(monkeypatch):
    limit_memory(monkeypatch, 0, RuntimeError("shapes cannot be multiplied"))
    train, test, z_user, z_item = random_world()
    with pytest.raises(RuntimeError, match="shapes"):
        evaluate(train, test, z_user, z_item)


def test_a_random_scorer_recalls_k_of_the_candidates():
    generator = torch.Generator().manual_seed(0)
    num_users, num_items = 3000, 200
    z_user = torch.randn(num_users, 64, generator=generator)
    z_item = torch.randn(num_items, 64, generator=generator)
    user = torch.arange(num_users)
    item = torch.randint(0, 100, (num_users,), generator=generator)
    graph = build_graph(
        pairs(),
        num_users=num_users,
        num_items=num_items,
        splits={"test": torch.stack([user, item])},
        candidate_mask=torch.arange(num_items) < 100,
    )
    result = Evaluator(graph, k=20)(z_user, z_item, "test")
    assert result["test/recall@20"] == pytest.approx(20 / 100, abs=0.04)


def test_padding_matches_no_label():
    # Row 1 is padded; a careless -1 would read as the last item of row 0, its label.
    graph = build_graph(
        pairs((1, 1), (1, 2)),
        num_users=2,
        num_items=3,
        splits={"test": pairs((0, 2), (1, 0))},
    )
    z_user, z_item = torch.ones(2, 1), torch.tensor([[2.0], [1], [0]])
    evaluator = Evaluator(graph, k=5)
    user = torch.tensor([1, 0])
    ranked = evaluator.rank(EmbeddingScores(z_user, z_item), user, "test").tolist()
    assert ranked == [[0, -1, -1, -1, -1], [0, 1, 2, -1, -1]]
    result = evaluator(z_user, z_item, "test")
    assert result["test/precision@5"] == pytest.approx(1 / 5)
    assert result["test/recall@5"] == 1
    assert result["test/mrr@5"] == pytest.approx((1 / 3 + 1) / 2)


def test_equal_scores_rank_by_id():
    evaluator = Evaluator(one_user(100, [1], train=[0, 3]), k=4)
    user = torch.tensor([0])
    ranked = evaluator.rank(
        EmbeddingScores(torch.zeros(1, 8), torch.zeros(100, 8)), user, "test"
    )
    assert ranked.tolist() == [[1, 2, 4, 5]]


@settings(max_examples=100)
@given(worlds(), st.integers(1, 15), st.sampled_from([1.0, math.inf, 1e38, 1e-45]))
def test_ties_go_to_the_positives_to_the_others_or_to_the_lower_id(world, k, scale):
    graph, oracle, z_user, z_item = world
    # A sum of products of infinities may be NaN: one column.
    z_user, z_item = z_user[:, :1] * scale, z_item[:, :1].clamp(min=1)
    z_user = z_user.nan_to_num(0.0, torch.inf, -torch.inf)
    scores = (z_user @ z_item.T).tolist()
    for split in [name for name in oracle.known if oracle.labels(name)]:
        for ties, key in (
            ("optimistic", lambda score, hit, item: (-score, not hit, item)),
            ("pessimistic", lambda score, hit, item: (-score, hit, item)),
        ):
            found = Evaluator(graph, k=k, strict=oracle.strict, ties=ties).per_user(
                EmbeddingScores(z_user, z_item), split
            )
            for row, (user, hits) in enumerate(sorted(oracle.labels(split).items())):
                ranking = sorted(
                    oracle.ranking(scores, user, split),
                    key=lambda item: key(scores[user][item], item in hits, item),
                )
                for name, value in naive_metrics(ranking, hits, k).items():
                    assert float(found.values[f"{name}@{k}"][row]) == pytest.approx(
                        value
                    )


def test_the_bounds_of_ties_enclose_the_metrics():
    graph = one_user(3, [1])
    z = torch.ones(1, 1), torch.ones(3, 1)
    found = {
        ties: Evaluator(graph, k=3, ties=ties)(*z, "test")["test/mrr@3"]
        for ties in ("pessimistic", "lower-id", "optimistic")
    }
    expected = {"pessimistic": 1 / 3, "lower-id": 1 / 2, "optimistic": 1}
    assert found == pytest.approx(expected)


def test_infinite_scores_are_ranked_and_masked_ones_are_not():
    graph = one_user(4, [1], train=[0])
    z_item = torch.tensor([[1.0], [-torch.inf], [torch.inf], [0.0]])
    z_user, user = torch.ones(1, 1), torch.tensor([0])
    ranked = Evaluator(graph, k=4).rank(EmbeddingScores(z_user, z_item), user, "test")
    assert ranked.tolist() == [[2, 3, 1, -1]]


@pytest.mark.parametrize("chunk_size", [None, 1])
def test_nan_scores_name_split_and_users(chunk_size):
    train, test, z_user, z_item = random_world()
    wrong = test[0].unique()[[0, 3]]
    z_user[wrong, 0] = torch.nan
    said = "scores of 2 users .* split 'test': users {}, {}$".format(*wrong.tolist())
    with pytest.raises(NonFiniteLossError, match=said):
        evaluate(train, test, z_user, z_item, chunk_size=chunk_size)


def test_of_many_users_with_nan_scores_the_first_are_named():
    train, test, z_user, z_item = random_world()
    users = ", ".join(map(str, test[0].unique()[:5].tolist()))
    with pytest.raises(NonFiniteLossError, match=rf": users {users}, \.\.\.$"):
        evaluate(train, test, z_user * torch.nan, z_item)


def test_a_failed_call_leaves_no_trace():
    train, test, z_user, z_item = random_world()
    graph = build_graph(train, num_users=50, num_items=40, splits={"test": test})
    evaluator = Evaluator(graph)
    expected = evaluator(z_user, z_item, "test")
    with pytest.raises(NonFiniteLossError):
        evaluator(z_user * torch.nan, z_item, "test")
    assert evaluator(z_user, z_item, "test") == expected


@pytest.mark.parametrize("k", [0, -1, 2.0, "20", True, None, [], [5, 0], [5, 2.5]])
def test_bad_cutoffs(k):
    with pytest.raises(ValueError, match="k must be a positive integer"):
        Evaluator(one_user(3, [1]), k=k)


def test_cutoffs_are_sorted_and_distinct():
    evaluator = Evaluator(one_user(3, [1]), k=[20, 1, 20])
    result = evaluator(*embeddings_for([1], 3), "test")
    assert list(result) == [f"test/{n}@{k}" for k in (1, 20) for n in NAMES]


def test_bad_arguments():
    graph = one_user(3, [1])
    with pytest.raises(ValueError, match="chunk_size must be at least 1"):
        Evaluator(graph, chunk_size=0)
    with pytest.raises(ValueError, match=r"ties must be one of .* \(got 'random'\)"):
        Evaluator(graph, ties="random")
    evaluator = Evaluator(graph)
    z_user, z_item = embeddings_for([1], 3)
    with pytest.raises(GraphError, match="no split 'valid'"):
        evaluator(z_user, z_item, "valid")
    with pytest.raises(ValueError, match=r"1 user and 3 items \(got 1 and 2\)"):
        evaluator(z_user, z_item[:2], "test")
    for bad in (-1, 1):
        with pytest.raises(ValueError, match=r"user must be in \[0, 0\] \(got "):
            evaluator.rank(EmbeddingScores(z_user, z_item), torch.tensor([bad]), "test")


def test_duplicate_pairs_count_once():
    graph = one_user(3, [1])
    graph["user", "test", "item"].edge_label_index = pairs((0, 1), (0, 2), (0, 1))
    result = Evaluator(graph, k=1)(*embeddings_for([1], 3), "test")
    assert result["test/recall@1"] == pytest.approx(1 / 2)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_and_gradients_are_left_out(dtype):
    train, test, z_user, z_item = random_world()
    expected = evaluate(train, test, z_user, z_item)
    tables = [z.to(dtype).requires_grad_() for z in (z_user, z_item)]
    assert evaluate(train, test, *tables) == expected


def test_scores_stay_in_float32_under_autocast():
    train, test, _, _ = random_world()
    generator = torch.Generator().manual_seed(0)
    tables = [torch.randn(n, 4, generator=generator) for n in (50, 40)]
    expected = evaluate(train, test, *tables)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert evaluate(train, test, *tables) == expected


@pytest.mark.parametrize("strict", [False, True])
def test_every_tensor_is_made_on_a_named_device(strict):
    train, test, z_user, z_item = random_world()
    graph = build_graph(train, num_users=50, num_items=40, splits={"test": test})
    evaluator = Evaluator(graph, k=[5, 50], strict=strict)
    user = torch.tensor([0, 1])
    with DeviceIsNamed():
        evaluator(z_user, z_item, "test")
        evaluator.rank(EmbeddingScores(z_user, z_item), user, "test")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_cpu():
    train, test, z_user, z_item = random_world()
    graph = build_graph(train, num_users=50, num_items=40, splits={"test": test})
    evaluator = Evaluator(graph, k=[5, 50])
    expected = evaluator(z_user, z_item, "test")
    result = evaluator(z_user.cuda(), z_item.cuda(), "test")
    assert result == pytest.approx(expected, abs=1e-6)
    user = torch.arange(50)
    ranked = evaluator.rank(EmbeddingScores(z_user.cuda(), z_item.cuda()), user, "test")
    assert torch.equal(
        ranked.cpu(), evaluator.rank(EmbeddingScores(z_user, z_item), user, "test")
    )


class Table:
    """A scorer that looks its scores up, and notes how many users it was asked for."""

    def __init__(self, scores):
        self.table, self.asked = scores, []

    def scores(self, user):
        self.asked.append(len(user))
        return self.table[user]


@pytest.mark.parametrize("kind", SCORERS)
@settings(max_examples=60)
@given(world=worlds(), k=st.integers(1, 15), data=st.data())
def test_scorers_agree_with_the_naive_protocol(kind, world, k, data):
    graph, oracle, z_user, _ = world
    chunk_size = data.draw(st.none() | st.integers(1, len(z_user)))
    ties = data.draw(st.sampled_from(["lower-id", "optimistic", "pessimistic"]))
    scorer, options = kind(graph), {"k": k, "strict": oracle.strict}
    scores, user = naive_scores(scorer, len(z_user)), torch.arange(len(z_user))
    evaluator = Evaluator(graph, chunk_size=chunk_size, ties=ties, **options)
    plain = Evaluator(graph, chunk_size=chunk_size, **options)
    favour = {"lower-id": 0, "optimistic": -1, "pessimistic": 1}[ties]
    for split in oracle.known:
        labels = oracle.labels(split)
        expected = []
        for u in range(len(z_user)):
            ranking = oracle.ranking(scores, u, split)
            ranking.sort(
                key=lambda i: (-scores[u][i], favour * (i in labels.get(u, ())), i)
            )
            expected.append((ranking + [-1] * k)[:k])
        assert evaluator.rank(scorer, user, split).tolist() == expected
        if labels:
            found = plain.metrics(scorer, split)
            naive = oracle.evaluate(scores, split, k)
            assert found == pytest.approx(naive, abs=1e-6)
            assert plain.per_user(scorer, split).means() == found


def masked_world():
    """Return a graph with candidates, and scores that are exact, with some ties."""
    train, test, z_user, z_item = random_world()
    mask = torch.arange(40) % 3 > 0
    graph = build_graph(
        train,
        num_users=50,
        num_items=40,
        splits={"test": test},
        candidate_mask=mask,
    )
    return graph, mask, z_user, z_item


@pytest.mark.parametrize("chunk_size", [None, 1, 7])
def test_a_table_of_dot_products_ranks_as_embeddings_do(chunk_size):
    graph, _, z_user, z_item = masked_world()
    evaluator = Evaluator(graph, k=[5, 50], chunk_size=chunk_size)
    table = z_user @ z_item.T
    scorer, before = Table(table), table.clone()
    assert evaluator.metrics(scorer, "test") == evaluator(z_user, z_item, "test")
    assert max(scorer.asked) <= (chunk_size or 50)
    assert torch.equal(table, before)


@pytest.mark.parametrize(
    "dtype", [torch.int32, torch.long, torch.bfloat16, torch.half, torch.double]
)
@pytest.mark.parametrize("masked", [False, True])
def test_scores_of_any_precision(dtype, masked):
    graph, _, z_user, z_item = masked_world()
    if not masked:
        del graph["item"].candidate_mask
    evaluator, table = Evaluator(graph), (z_user @ z_item.T).clamp(-60, 60)
    expected = evaluator.metrics(Table(table), "test")
    scorer = Table(table.to(dtype))
    if dtype.is_floating_point:
        scorer.table.requires_grad_()
    assert evaluator.metrics(scorer, "test") == expected


def test_infinite_scores_of_a_scorer_are_ranked():
    graph = one_user(4, [1], train=[0])
    scorer = Table(torch.tensor([[1.0, -torch.inf, torch.inf, 0]]))
    ranked = Evaluator(graph, k=4).rank(scorer, torch.tensor([0]), "test")
    assert ranked.tolist() == [[2, 3, 1, -1]]


@pytest.mark.parametrize("chunk_size", [None, 1])
def test_a_scorer_s_nan_names_split_and_users(chunk_size):
    graph, mask, z_user, z_item = masked_world()
    evaluator, table = Evaluator(graph, chunk_size=chunk_size), z_user @ z_item.T
    expected = evaluator.metrics(Table(table.clone()), "test")
    table[:, ~mask] = torch.nan  # nobody looks there
    assert evaluator.metrics(Table(table), "test") == expected
    user = torch.tensor([5, 8, 2])
    table[8, mask.nonzero()[-1]] = torch.nan
    with pytest.raises(NonFiniteLossError, match=r"scores of 1 user .*: users 8$"):
        evaluator.rank(Table(table), user, "test")


@pytest.mark.parametrize(
    ("cut", "got"),
    [
        (lambda scores: scores[:, 1:], r"\[50, 39\]"),
        (lambda scores: scores[:1], r"\[1, 40\]"),
        (lambda scores: scores[0], r"\[40\]"),
        (lambda scores: scores.T, r"\[40, 50\]"),
    ],
)
def test_scores_of_another_shape(cut, got):
    graph, _, z_user, z_item = masked_world()

    class Cut(Table):
        def scores(self, user):
            return cut(self.table[user])

    said = rf"expected scores of 50 users and 40 items, \[50, 40\] \(got {got}\)"
    with pytest.raises(ValueError, match=said):
        Evaluator(graph).rank(Cut(z_user @ z_item.T), torch.arange(50), "test")


def test_a_scorer_that_needs_too_much_memory_is_asked_for_fewer():
    graph, _, z_user, z_item = masked_world()

    class Greedy(Table):
        def scores(self, user):
            if len(user) > 5:
                raise MemoryError
            return super().scores(user)

    scorer, evaluator = Greedy(z_user @ z_item.T), Evaluator(graph)
    with pytest.warns(UserWarning, match="memory while ranking split 'test'"):
        found = evaluator.metrics(scorer, "test")
    assert found == evaluator(z_user, z_item, "test")
    assert 3 <= max(scorer.asked) <= 5


def test_few_candidates_do_not_ask_for_many_users_at_once(monkeypatch):
    graph, _, z_user, z_item = masked_world()
    for name, value in (("_FEW_SCORES", 200), ("_ENOUGH_USERS", 1)):
        monkeypatch.setattr(candidate_ranking, name, value)
    evaluator, scorer = Evaluator(graph), Table(z_user @ z_item.T)
    user = torch.arange(50)
    found = evaluator.rank(scorer, user, "test")
    assert torch.equal(
        found, evaluator.rank(EmbeddingScores(z_user, z_item), user, "test")
    )
    assert max(scorer.asked) == 200 // 40
    assert sum(scorer.asked) == 50


def test_a_scorer_is_asked_without_gradients_and_on_named_devices():
    graph, _, z_user, z_item = masked_world()

    class Watched(Table):
        def scores(self, user):
            assert not torch.is_grad_enabled()
            return super().scores(user)

    evaluator, scorer = Evaluator(graph), Watched((z_user @ z_item.T).long())
    user = torch.tensor([0, 1])
    with DeviceIsNamed():
        evaluator.metrics(scorer, "test")
        evaluator.rank(scorer, user, "test")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("graph_on", ["cpu", "cuda"])
def test_a_scorer_on_cuda_agrees_with_cpu(graph_on):
    graph, _, z_user, z_item = masked_world()
    expected = Evaluator(graph).metrics(Table(z_user @ z_item.T), "test")
    scorer = Table((z_user @ z_item.T).cuda())
    found = Evaluator(graph.clone().to(graph_on)).metrics(scorer, "test")
    assert found == pytest.approx(expected, abs=1e-6)
