from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pyg_advinfonce.datasets.splits.by_time import latest, leave_last

PAIRS = np.array([[0, 0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 3, 0, 1, 5, 6, 7]])
TIME = np.array([3.0, 9.0, 1.0, 4.0, 1.0, 2.0, 5.0, 5.0, 5.0])


def listed(splits):
    return {name: pairs.T.tolist() for name, pairs in splits.items()}


def test_the_last_pair_is_test_and_the_one_before_it_valid():
    assert listed(leave_last(PAIRS, TIME)) == {
        "train": [[0, 0], [0, 2], [1, 0], [1, 1], [2, 5]],
        "valid": [[0, 3], [2, 6]],
        "test": [[0, 1], [2, 7]],
    }


def test_the_latest_pairs_of_all_are_test():
    assert listed(latest(PAIRS[:, :6], TIME[:6], 1 / 6, 1 / 6)) == {
        "train": [[0, 0], [0, 2], [1, 0], [1, 1]],
        "valid": [[0, 3]],
        "test": [[0, 1]],
    }


def test_pairs_at_the_same_time_are_not_divided():
    splits = latest(PAIRS, TIME, 1 / 9, 2 / 9)
    assert listed(splits)["test"] == [[0, 1], [2, 5], [2, 6], [2, 7]]
    assert listed(splits)["valid"] == [[0, 3]]


@given(st.lists(st.integers(0, 9), min_size=3, max_size=40))
def test_what_is_held_out_is_never_earlier(times):
    time = np.array(times, dtype=float)
    pairs = np.stack([np.zeros(len(time), dtype=np.int64), np.arange(len(time))])
    splits = latest(pairs, time, 0.2, 0.2)
    in_order = [time[splits[name][1]] for name in ("train", "valid", "test")]
    assert sum(map(len, in_order)) == len(time)
    ends = [part for part in in_order if len(part)]
    assert all(a.max() < b.min() for a, b in pairwise(ends))
