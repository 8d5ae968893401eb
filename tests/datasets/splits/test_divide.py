from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyg_advinfonce.datasets.base import distinct_pairs
from pyg_advinfonce.datasets.splits import (
    TIMED,
    Interactions,
    SplitOptions,
    divide,
    resolve_overlaps,
    split_off_valid,
    without_cold_users,
)
from pyg_advinfonce.datasets.splits.divide import (
    hold_out_latest,
    hold_out_latest_of_users,
)
from pyg_advinfonce.datasets.tables import Log
from pyg_advinfonce.errors import ConfigError, DataError, DataWarning
from pyg_advinfonce.keys import pair_keys

BLOCK = np.stack(np.divmod(np.arange(1000), 50))  # 20 users with 50 items each
OPTIONS = [
    SplitOptions(),
    SplitOptions("random", 0.2, 0.3, seed=5),
    SplitOptions("leave-last"),
    SplitOptions("time"),
    SplitOptions("temporal-user", 0.2, 0.3),
    SplitOptions("temporal-user", 0.2, 0, seed=5),
    SplitOptions("random", test_fraction=0),
    SplitOptions("time", test_fraction=0),
    SplitOptions("popularity-shift", gammas=(3, 1), num_groups=2, test_fraction=0.2),
    SplitOptions("popularity-shift", gammas=(2,), mode="notebook", num_groups=2),
]
DATA_WARNINGS = "ignore::pyg_advinfonce.errors.DataWarning"
rows = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 3)),
    min_size=8,
    max_size=60,
)


def log_of(found):
    table = np.array(found)
    none, no_pairs = np.zeros(0, dtype=np.int64), np.zeros((2, 0), dtype=np.int64)
    time = table[:, 2].astype(float)
    return Log(table[:, :2].T, time, len(table), none, none, no_pairs)


def divided(found, options):
    """Divide rows; None if a split would be empty."""
    try:
        return divide(Interactions.of(log_of(found)), options)
    except ConfigError:
        return None


def sets(splits, users=range(5), items=range(7)):
    """Return the pairs of each split under their original numbers."""
    return splits and {
        name: {(users[u], items[i]) for u, i in pairs.T.tolist()}
        for name, pairs in splits.items()
    }


@pytest.mark.filterwarnings(DATA_WARNINGS)
@pytest.mark.parametrize("options", OPTIONS)
@given(rows)
def test_disjoint_complete_and_sorted(options, found):
    splits = divided(found, options)
    if splits is None:
        return
    keys = np.concatenate([pair_keys(*pairs) for pairs in splits.values()])
    assert sorted(keys) == pair_keys(*Interactions.of(log_of(found)).pairs).tolist()
    assert list(splits)[:2] == ["train", "valid"]
    assert all(np.array_equal(p, distinct_pairs(p)) for p in splits.values())


@pytest.mark.filterwarnings(DATA_WARNINGS)
@pytest.mark.parametrize("options", OPTIONS)
@given(rows, st.permutations(range(5)), st.permutations(range(7)))
def test_other_numbers_of_users_and_items_change_nothing(options, found, users, items):
    renamed = [(users.index(u), items.index(i), time) for u, i, time in found]
    expected = sets(divided(found, options))
    assert sets(divided(renamed, options), users, items) == expected


@pytest.mark.filterwarnings(DATA_WARNINGS)
@pytest.mark.parametrize("options", [o for o in OPTIONS if o.split in TIMED])
@given(rows, st.randoms())
def test_rows_of_different_times_may_come_in_any_order(options, found, chance):
    in_time = sorted(found, key=lambda row: row[2])  # ties keep the order of the file
    backwards = sorted(found, key=lambda row: -row[2])
    assert sets(divided(found, options)) == sets(divided(in_time, options))
    assert sets(divided(found, options)) == sets(divided(backwards, options))
    unique = [(u, i, time) for time, (u, i, _) in enumerate(found)]
    expected = sets(divided(unique, options))
    assert sets(divided(chance.sample(unique, len(unique)), options)) == expected


@given(rows)
def test_no_user_becomes_cold_by_chance(found):
    log = Interactions.of(log_of(found))
    try:
        splits = divide(log, SplitOptions(valid_fraction=0.3, test_fraction=0.3))
    except ConfigError:
        return
    assert set(splits["train"][0]) == set(log.pairs[0])


def test_sizes_and_seeds():
    log = Interactions(BLOCK)
    sizes = {n: p.shape[1] for n, p in divide(log, SplitOptions()).items()}
    assert sizes == {"train": 800, "valid": 100, "test": 100}
    one, other = (divide(log, SplitOptions(seed=s)) for s in (0, 1))
    assert not np.array_equal(one["test"], other["test"])


def test_repeated_pairs_are_merged_counted_and_have_their_first_time():
    log = Interactions.of(log_of([(1, 2, 5), (0, 1, 3), (1, 2, 4), (1, 2, 9)]))
    assert log.pairs.T.tolist() == [[0, 1], [1, 2]]
    assert log.duplicates == 2
    assert log.time.tolist() == [3, 4]


@pytest.mark.parametrize("options", OPTIONS[:8])
def test_an_empty_split_is_an_error(options):
    with pytest.raises(ConfigError, match=r"leaves (train|valid|test) empty"):
        divide(Interactions(BLOCK[:, :1], 0, np.zeros(1)), options)


def test_a_split_without_its_times():
    with pytest.raises(ConfigError, match="needs the times"):
        divide(Interactions(BLOCK), SplitOptions("time"))


PAIRS = np.array([[0, 0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 3, 0, 1, 5, 6, 7]])
TIME = np.array([3.0, 9.0, 1.0, 4.0, 1.0, 2.0, 5.0, 5.0, 5.0])


def listed(splits):
    return {name: pairs.T.tolist() for name, pairs in splits.items()}


def parts(pairs, part):
    names = enumerate(("train", "valid", "test"))
    return {name: pairs[:, part == number].T.tolist() for number, name in names}


def test_the_last_pair_is_test_and_the_one_before_it_valid():
    assert parts(PAIRS, hold_out_latest_of_users(PAIRS[0], TIME)) == {
        "train": [[0, 0], [0, 2], [1, 0], [1, 1], [2, 5]],
        "valid": [[0, 3], [2, 6]],
        "test": [[0, 1], [2, 7]],
    }


def test_ties_are_drawn_by_the_seed_and_counted():
    tied = [(u, i, 7) for u in range(5) for i in range(7)] + [(5, i, i) for i in (1, 2)]
    tied += [(6, i, i) for i in (1, 2, 3)]
    log = Interactions.of(log_of(tied))
    with pytest.warns(DataWarning, match=r"^5 of 6 users .* at random .*seed 0"):
        one = divide(log, SplitOptions("leave-last"))
    with pytest.warns(DataWarning, match="seed 1"):
        other = divide(log, SplitOptions("leave-last", seed=1))
    assert not np.array_equal(one["test"], other["test"])
    assert len(set(one["test"][1, :5].tolist())) > 1


def test_no_tie_is_no_warning():
    one = [(u, i, i) for u in range(4) for i in range(3)]
    divide(Interactions.of(log_of(one)), SplitOptions("leave-last", seed=3))


def test_the_latest_pairs_of_all_are_test():
    part = hold_out_latest(TIME[:6], 1 / 6, 1 / 6)
    assert parts(PAIRS[:, :6], part) == {
        "train": [[0, 0], [0, 2], [1, 0], [1, 1]],
        "valid": [[0, 3]],
        "test": [[0, 1]],
    }


def test_pairs_at_the_same_time_are_not_divided():
    splits = parts(PAIRS, hold_out_latest(TIME, 1 / 9, 2 / 9))
    assert splits["test"] == [[0, 1], [2, 5], [2, 6], [2, 7]]
    assert splits["valid"] == [[0, 3]]


@given(st.lists(st.integers(0, 9), min_size=3, max_size=40))
def test_what_is_held_out_is_never_earlier(times):
    time = np.array(times, dtype=float)
    part = hold_out_latest(time, 0.2, 0.2)
    in_order = [time[part == number] for number in range(3)]
    assert sum(map(len, in_order)) == len(time)
    ends = [part for part in in_order if len(part)]
    assert all(a.max() < b.min() for a, b in pairwise(ends))


@pytest.mark.parametrize(
    ("size", "valid", "test", "expected"),
    [
        (1, 0.1, 0.1, (1, 0, 0)),
        (2, 0.1, 0.1, (1, 0, 1)),
        (3, 0.1, 0.1, (1, 1, 1)),
        (19, 0.1, 0.1, (17, 1, 1)),
        (20, 0.1, 0.1, (16, 2, 2)),
        (100, 0.29, 0.57, (14, 29, 57)),
        (2, 0.1, 0, (1, 1, 0)),
        (5, 0.5, 0.4, (1, 2, 2)),
        (1, 1 - 2e-9, 0, (1, 0, 0)),
    ],
)
def test_shares_of_a_user_are_rounded_down_to_at_least_one(size, valid, test, expected):
    user = np.zeros(size, dtype=np.int64)
    part = hold_out_latest_of_users(user, np.arange(size)[::-1] * 1.0, valid, test)
    assert tuple(np.bincount(part, minlength=3)) == expected
    assert (np.diff(part) <= 0).all()  # the times fall


@pytest.mark.filterwarnings(DATA_WARNINGS)
@given(rows, st.floats(0.01, 0.5), st.floats(0, 0.49))
def test_each_user_is_held_out_in_time(found, valid, test):
    log = Interactions.of(log_of(found))
    splits = divided(found, SplitOptions("temporal-user", valid, test))
    if splits is None:
        return
    assert set(splits["train"][0]) == set(log.pairs[0])
    assert list(splits) == ["train", "valid", "test"][: 3 if test else 2]
    time = dict(zip(pair_keys(*log.pairs), log.time, strict=True))
    times = [{}, {}, {}]
    for of_user, pairs in zip(times, splits.values(), strict=False):
        for pair in pairs.T:
            of_user.setdefault(pair[0], []).append(time[pair_keys(*pair)])
    for user in set(log.pairs[0]):
        ends = [of_user[user] for of_user in times if user in of_user]
        assert all(max(a) <= min(b) for a, b in pairwise(ends))


def test_ties_of_equal_time_are_drawn_in_a_users_ratio_too():
    tied = [(u, i, 7 if u < 5 else i) for u in range(6) for i in range(7)]
    log = Interactions.of(log_of(tied))
    said = r"^5 of 6 users .* the cut of temporal-user: .*seed 0"
    with pytest.warns(DataWarning, match=said):
        one = divide(log, SplitOptions("temporal-user"))
    with pytest.warns(DataWarning, match="seed 1"):
        other = divide(log, SplitOptions("temporal-user", seed=1))
    assert not np.array_equal(one["test"], other["test"])
    apart = [(u, i, time) for time, (u, i, _) in enumerate(tied)]
    divide(Interactions.of(log_of(apart)), SplitOptions("temporal-user"))  # no warning


SPLITS = {
    "train": np.array([[0, 0, 1], [0, 1, 1]]),
    "valid": np.array([[0, 1], [1, 2]]),
    "test": np.array([[0, 0, 1, 1], [0, 3, 2, 4]]),
}


def test_keep():
    assert listed(resolve_overlaps(SPLITS, "keep")) == listed(SPLITS)


def test_drop_takes_them_out_of_what_is_held_out():
    assert listed(resolve_overlaps(SPLITS, "drop")) == {
        "train": [[0, 0], [0, 1], [1, 1]],
        "valid": [[1, 2]],
        "test": [[0, 3], [1, 4]],
    }


def test_error_counts_them():
    with pytest.raises(DataError, match=r"1 pair of valid .* --overlap keep or drop"):
        resolve_overlaps(SPLITS, "error")
    apart = {"train": SPLITS["train"], "test": np.array([[0], [5]])}
    assert listed(resolve_overlaps(apart, "error")) == listed(apart)


def test_nothing_left_and_an_unknown_way():
    with pytest.raises(ConfigError, match="all pairs of test are also in train"):
        resolve_overlaps({"train": SPLITS["train"], "test": SPLITS["train"]}, "drop")
    with pytest.raises(
        ConfigError, match="unknown overlap 'dorp', did you mean 'drop'"
    ):
        resolve_overlaps(SPLITS, "dorp")


def test_users_without_train_pairs_are_left_out_and_counted():
    splits = SPLITS | {"test": np.array([[0, 2, 2, 7], [3, 1, 2, 1]])}
    with pytest.warns(
        DataWarning, match=r"2 users of test .* their 3 pairs are dropped"
    ):
        kept = without_cold_users(splits)
    assert listed(kept) == listed(SPLITS | {"test": np.array([[0], [3]])})


def test_a_split_of_such_users_alone_is_an_error():
    with pytest.raises(DataError, match="no user of test has a train pair"):
        without_cold_users({"train": SPLITS["train"], "test": np.array([[5], [0]])})


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1),
    st.floats(0.01, 0.99),
    st.integers(0, 9),
)
def test_it_divides_and_nobody_becomes_cold(pairs, fraction, seed):
    train = distinct_pairs(np.array(pairs).T)
    try:
        kept, valid = split_off_valid(train, fraction, seed)
    except ConfigError:
        return
    assert set(kept[0]) == set(train[0])
    both = np.concatenate([pair_keys(*kept), pair_keys(*valid)])
    assert sorted(both) == list(pair_keys(*train))
    assert 0 < valid.shape[1] <= round(fraction * train.shape[1])


def test_the_size_and_the_seed():
    _, valid = split_off_valid(BLOCK, 0.1, 0)
    assert valid.shape == (2, 100)
    assert np.array_equal(valid, split_off_valid(BLOCK, 0.1, 0)[1])
    assert not np.array_equal(valid, split_off_valid(BLOCK, 0.1, 1)[1])


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_a_fraction_is_between_0_and_1(fraction):
    with pytest.raises(ConfigError, match="valid_fraction must lie between 0 and 1"):
        split_off_valid(BLOCK, fraction, 0)


def test_other_refusals():
    with pytest.raises(ConfigError, match="seed must not be negative"):
        split_off_valid(BLOCK, 0.1, -1)
    with pytest.raises(ConfigError, match="leaves valid empty"):
        split_off_valid(np.array([[0, 1, 2], [0, 0, 0]]), 0.5, 0)
