import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from pyg_advinfonce.datasets.simulated import (
    SIZES,
    Simulated,
    exposure,
    preference,
)
from pyg_advinfonce.errors import ConfigError, UnknownNameError
from pyg_advinfonce.graph import check_graph, num_nodes, split_edges


def item_counts(dataset, pairs):
    return torch.bincount(pairs[1], minlength=num_nodes(dataset.graph)[1]).numpy()


def gini(counts):
    share = np.sort(counts).cumsum() / counts.sum()
    return 1 - 2 * share.mean() + 1 / len(counts)


@pytest.fixture(scope="module")
def coat():
    return Simulated()


@pytest.fixture(scope="module")
def yahoo():
    return Simulated("yahoo", seed=1)


@pytest.mark.parametrize("name", ["coat", "yahoo"])
def test_the_shape_is_that_of_the_real_set(name, request):
    dataset, size = request.getfixturevalue(name), SIZES[name]
    check_graph(dataset.graph)
    summary = dataset.summary()
    assert (summary["users"], summary["items"]) == (size.num_users, size.num_items)
    assert summary["pairs"] == {
        "train": size.num_train,
        "valid": size.num_valid,
        "test": size.num_test,
    }
    assert summary["users_without_train"] == summary["users_with_all_items"] == 0
    assert set(summary["overlaps"].values()) == {0}


@pytest.mark.parametrize("name", ["coat", "yahoo"])
def test_all_positives_are_liked(name, request):
    dataset = request.getfixturevalue(name)
    for split in ("train", "valid", "test"):
        assert dataset.likes(*split_edges(dataset.graph, split)).all()


def test_users_like_some_items_and_never_all(coat):
    liked = coat.likes(torch.arange(290)[:, None], torch.arange(295))  # [U, I]
    assert liked.shape == (290, 295)
    assert 0.05 < liked.float().mean() < 0.15
    assert liked.any(1).all()
    assert not liked.all(1).any()


def test_a_pair_is_judged_alike_in_any_company(yahoo):
    generator = torch.Generator().manual_seed(0)
    user = torch.randint(14_382, (50, 1), generator=generator)  # [B, 1]
    item = torch.randint(1000, (50, 7), generator=generator)  # [B, K]
    liked = yahoo.likes(user, item)
    assert liked.dtype == torch.bool
    assert liked.shape == (50, 7)
    for b in range(50):
        for k in range(7):
            assert yahoo.likes(user[b, 0], item[b, k]) == liked[b, k]
    assert torch.equal(yahoo.likes(user.expand(50, 7), item), liked)
    assert yahoo.likes(user[:0], item[:0]).shape == (0, 7)


@pytest.mark.parametrize("name", ["coat", "yahoo"])
def test_the_test_shows_all_items_alike(name, request):
    dataset = request.getfixturevalue(name)
    shown = dataset.test_exposure
    assert chisquare(item_counts(dataset, shown)).pvalue > 0.01
    users = torch.bincount(shown[0], minlength=num_nodes(dataset.graph)[0]).numpy()
    assert chisquare(users).pvalue > 0.01


def test_the_test_is_what_was_liked_and_unseen_among_the_shown(coat):
    shown = coat.test_exposure
    log = torch.cat([split_edges(coat.graph, s) for s in ("train", "valid")], dim=1)
    log_pairs = set(map(tuple, log.T.tolist()))
    liked = shown[:, coat.likes(shown[0], shown[1])]
    expected = {pair for pair in map(tuple, liked.T.tolist()) if pair not in log_pairs}
    assert expected == set(map(tuple, split_edges(coat.graph, "test").T.tolist()))


def test_popularity_bias_concentrates_the_log_but_not_the_test():
    train, test = {}, {}
    for bias in (0.0, 1.0, 2.0):
        dataset = Simulated("yahoo", popularity_bias=bias)
        train[bias] = gini(item_counts(dataset, split_edges(dataset.graph, "train")))
        test[bias] = gini(item_counts(dataset, split_edges(dataset.graph, "test")))
    assert train[0.0] + 0.1 < train[1.0] < train[2.0] - 0.05
    assert abs(test[2.0] - test[0.0]) < 0.05


def test_the_truth_does_not_depend_on_the_bias(coat):
    other = Simulated(popularity_bias=3)
    user, item = torch.arange(290)[:, None], torch.arange(295)
    assert torch.equal(coat.likes(user, item), other.likes(user, item))
    assert other.summary()["pairs"] == coat.summary()["pairs"]


def test_preferences_can_be_learned_and_popularity_misleads(yahoo):
    train = split_edges(yahoo.graph, "train")
    clicks = torch.zeros(14_382, 1000)
    clicks[train[0], train[1]] = 1
    clicks = clicks[:, clicks.any(0)]
    items = train[1].unique()
    users = torch.arange(14_382)[:, None]
    scaled = clicks / clicks.sum(1, keepdim=True).sqrt() / clicks.sum(0).sqrt()
    torch.manual_seed(0)
    basis = torch.svd_lowrank(scaled, q=8)[2]

    def liked_among_the_top(score):
        top = score.masked_fill(clicks > 0, -torch.inf).topk(20).indices
        return float(yahoo.likes(users, items[top]).float().mean())

    by_chance = liked_among_the_top(torch.rand(clicks.shape))
    popular = liked_among_the_top(clicks.sum(0).expand(clicks.shape))
    learned = liked_among_the_top(scaled @ basis @ basis.T)
    assert learned > 1.4 * popular
    assert learned > 2.5 * by_chance


def test_the_same_seed_gives_the_same_data(coat):
    again, other = Simulated(seed=0), Simulated(seed=1)
    assert again.fingerprint == coat.fingerprint
    assert other.fingerprint != coat.fingerprint
    for split in ("train", "valid", "test"):
        one, two = split_edges(coat.graph, split), split_edges(again.graph, split)
        assert torch.equal(one, two)
    assert torch.equal(again.test_exposure, coat.test_exposure)


def test_the_data_do_not_depend_on_how_much_is_drawn_at_once(coat, monkeypatch):
    monkeypatch.setattr(exposure, "_MAX_DRAWS", 100)
    monkeypatch.setattr(exposure, "_USERS_AT_ONCE", 1)
    monkeypatch.setattr(preference, "_CHUNK", 1000)
    again = Simulated()
    assert again.fingerprint == coat.fingerprint
    assert torch.equal(again.test_exposure, coat.test_exposure)


@pytest.mark.slow
def test_kuairec_ranks_a_panel():
    dataset = Simulated("kuairec")
    mask = dataset.graph["item"].candidate_mask
    assert int(mask.sum()) == 3327
    assert dataset.summary()["pairs"] == {
        "train": 1_087_278,
        "valid": 72_392,
        "test": 144_783,
    }
    for split in ("valid", "test"):
        pairs = split_edges(dataset.graph, split)
        assert mask[pairs[1]].all()
        assert pairs[0].unique().numel() <= 1411
        assert dataset.likes(*pairs).all()


@pytest.mark.slow
def test_tencent_has_its_size():
    dataset = Simulated("tencent")
    assert num_nodes(dataset.graph) == (95_709, 41_602)
    assert dataset.summary()["users_without_train"] == 0
    assert dataset.likes(*split_edges(dataset.graph, "train")).all()
    assert chisquare(item_counts(dataset, dataset.test_exposure)).pvalue > 0.01


@pytest.mark.parametrize("bias", [0, 0.3, 30, 1e6])
def test_any_bias_gives_a_full_log(bias):
    dataset = Simulated(popularity_bias=bias)
    assert dataset.summary()["pairs"]["train"] == 1363
    assert dataset.summary()["users_without_train"] == 0


def test_wrong_arguments_are_named(coat):
    with pytest.raises(UnknownNameError, match=r"size .* 'coats', did you mean 'coat'"):
        Simulated("coats")
    for bias in (-1, float("nan"), float("inf"), "1", True):
        with pytest.raises(
            ConfigError, match="popularity_bias must be a non-negative number"
        ):
            Simulated(popularity_bias=bias)
    for seed in (-1, 0.5):
        with pytest.raises(ConfigError, match="seed must be"):
            Simulated(seed=seed)
    one = torch.tensor([0])
    with pytest.raises(ValueError, match=r"item_id must lie between 0 and 294 \(got"):
        coat.likes(one, one + 295)
    with pytest.raises(ValueError, match="user_id must lie between 0 and 289"):
        coat.likes(one - 1, one)
    with pytest.raises(TypeError, match="user_id must hold integers"):
        coat.likes(one.float(), one)
