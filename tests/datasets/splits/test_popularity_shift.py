import numpy as np
import pytest

from pyg_advinfonce.datasets.splits import popularity_shift
from pyg_advinfonce.datasets.splits.popularity_shift import (
    exact_counts,
    notebook_probabilities,
    popularity_groups,
)
from pyg_advinfonce.errors import ConfigError, DataWarning

GROUPS = 5


def make_pairs(seed=0, num_items=200, num_pairs=40_000):
    """Draw distinct pairs of many users and a long tail of items."""
    rng = np.random.default_rng(seed)
    weight = 1 / np.arange(1, num_items + 1) ** 0.5
    items = rng.choice(num_items, num_pairs, p=weight / weight.sum())
    keys = np.unique(rng.integers(2000, size=num_pairs) * num_items + items)
    return np.stack(np.divmod(keys, num_items))


def shift(pairs, *, mode="exact", gammas=(200, 10, 2), share=0.1, seed=0):
    return popularity_shift(
        pairs,
        gammas=gammas,
        mode=mode,
        num_groups=GROUPS,
        test_fraction=share,
        rng=np.random.default_rng(seed),
    )


def test_groups_of_equal_size_the_most_popular_first():
    item = np.repeat(np.arange(11), [1, 9, 2, 8, 3, 7, 4, 6, 5, 5, 0])
    assert popularity_groups(item, 5).tolist() == [4, 0, 4, 0, 3, 1, 3, 1, 2, 2]


def test_more_groups_than_items():
    with pytest.raises(
        ConfigError, match="num_groups must be at most the number of items 2"
    ):
        popularity_groups(np.array([0, 1]), 5)


@pytest.mark.parametrize("mode", ["exact", "notebook"])
def test_tests_and_remainder_are_all_pairs_once(mode):
    pairs = make_pairs()
    splits = shift(pairs, mode=mode)
    assert list(splits) == ["train", "test_gamma_200", "test_gamma_10", "test_gamma_2"]
    keys = np.concatenate([p[0] * 200 + p[1] for p in splits.values()])
    assert sorted(keys) == (pairs[0] * 200 + pairs[1]).tolist()


@pytest.mark.parametrize("mode", ["exact", "notebook"])
def test_the_seed_decides(mode):
    pairs = make_pairs()
    one, same, other = (shift(pairs, mode=mode, seed=s) for s in (0, 0, 1))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["test_gamma_2"], other["test_gamma_2"])


@pytest.mark.parametrize("gamma", [1, 2, 10, 200])
def test_exact_realises_the_paper_s_profile(gamma):
    pairs = make_pairs()
    group = popularity_groups(pairs[1], GROUPS)
    test = shift(pairs, gammas=[gamma])[f"test_gamma_{gamma}"]
    realised = np.bincount(group[test[1]], minlength=GROUPS)
    power = gamma ** -(np.arange(GROUPS) / (GROUPS - 1))
    expected = 0.1 * pairs.shape[1] * power / power.sum()
    assert np.abs(realised - expected).max() <= 0.5 + 1e-9
    assert realised[0] / realised[-1] == pytest.approx(gamma, rel=0.2)


def test_exact_takes_no_more_than_a_group_has():
    assert exact_counts(4.0, 3, 70).tolist() == [40, 20, 10]
    item = np.repeat(np.arange(5), [96, 1, 1, 1, 1])
    pairs = np.stack([np.arange(100), item])
    with pytest.warns(DataWarning, match="4 of 5 groups .* gamma 2 .* instead of 30"):
        shift(pairs, gammas=[2], share=0.3)


@pytest.mark.parametrize("gamma", [1, 2, 10, 200])
def test_notebook_realises_what_is_expected_of_each_group(gamma):
    pairs = make_pairs()
    popularity = np.bincount(pairs[1])
    group = popularity_groups(pairs[1], GROUPS)
    share = notebook_probabilities(
        gamma, popularity, group, GROUPS, 0.1 * pairs.shape[1]
    )
    runs = [shift(pairs, mode="notebook", gammas=[gamma], seed=s) for s in range(20)]
    tests = np.concatenate([run[f"test_gamma_{gamma}"][1] for run in runs])
    realised = np.bincount(group[tests], minlength=GROUPS) / len(runs)
    expected = np.bincount(group, popularity * share / (1 + share))
    assert expected.sum() == pytest.approx(0.1 * pairs.shape[1])
    assert realised == pytest.approx(expected, rel=0.05, abs=3)
    wanted = popularity * share  # of an item, before what is skipped
    first, last = (wanted[group == g].mean() for g in (0, GROUPS - 1))
    assert first / last == pytest.approx(gamma, rel=1e-6)


def test_notebook_never_takes_two_pairs_in_turn_of_an_item():
    pairs = np.stack([np.arange(1000), np.repeat(np.arange(5), 200)])
    test = shift(pairs, mode="notebook", gammas=[1], share=0.4)["test_gamma_1"]
    gaps = np.diff(test[0])[np.diff(test[1]) == 0]
    assert test.shape[1] > 300
    assert gaps.min() == 2


def test_notebook_never_takes_an_item_s_only_pair():
    item = np.concatenate([np.arange(50), np.repeat(np.arange(50, 55), 100)])
    pairs = np.stack([np.arange(len(item)), item])
    test = shift(pairs, mode="notebook", gammas=[1], share=0.3)["test_gamma_1"]
    assert test[1].min() >= 50


def naive_notebook(pairs, share, luck):
    """The notebook's loop, which removes from the list that it walks over."""
    taken = []
    for item in np.unique(pairs[1]):
        users = pairs[0, pairs[1] == item].tolist()
        for user in users:
            if luck[user, item] < share[item]:
                users.remove(user)
                taken.append((user, int(item)))
    return sorted(taken)


def test_notebook_is_the_loop_of_the_notebook():
    pairs = make_pairs(num_items=20, num_pairs=2000)
    popularity = np.bincount(pairs[1])
    group = popularity_groups(pairs[1], GROUPS)
    number = 0.2 * pairs.shape[1]
    share = notebook_probabilities(2.0, popularity, group, GROUPS, number)
    draws = np.random.default_rng(3).random(pairs.shape[1])
    luck = np.empty((2000, 20))
    order = np.argsort(pairs[1], kind="stable")
    luck[pairs[0, order], pairs[1, order]] = draws
    test = shift(pairs, mode="notebook", gammas=[2.0], share=0.2, seed=3)[
        "test_gamma_2"
    ]
    assert sorted(map(tuple, test.T.tolist())) == naive_notebook(pairs, share, luck)
