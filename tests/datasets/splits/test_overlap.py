import numpy as np
import pytest

from pyg_advinfonce.datasets.data_warning import DataWarning
from pyg_advinfonce.datasets.splits.cold_users import without_cold_users
from pyg_advinfonce.datasets.splits.overlap import resolve_overlaps
from pyg_advinfonce.errors import ConfigError, DataError

SPLITS = {
    "train": np.array([[0, 0, 1], [0, 1, 1]]),
    "valid": np.array([[0, 1], [1, 2]]),
    "test": np.array([[0, 0, 1, 1], [0, 3, 2, 4]]),
}


def listed(splits):
    return {name: pairs.T.tolist() for name, pairs in splits.items()}


def test_keep():
    assert listed(resolve_overlaps(SPLITS, "keep")) == listed(SPLITS)


def test_drop_takes_them_out_of_what_is_held_out():
    assert listed(resolve_overlaps(SPLITS, "drop")) == {
        "train": [[0, 0], [0, 1], [1, 1]],
        "valid": [[1, 2]],
        "test": [[0, 3], [1, 4]],
    }


def test_error_counts_them():
    with pytest.raises(DataError, match=r"1 pairs of valid .* --overlap keep or drop"):
        resolve_overlaps(SPLITS, "error")
    apart = {"train": SPLITS["train"], "test": np.array([[0], [5]])}
    assert listed(resolve_overlaps(apart, "error")) == listed(apart)


def test_nothing_left_and_an_unknown_way():
    with pytest.raises(ConfigError, match="all pairs of test are in train"):
        resolve_overlaps({"train": SPLITS["train"], "test": SPLITS["train"]}, "drop")
    with pytest.raises(
        ConfigError, match="unknown overlap 'dorp', did you mean 'drop'"
    ):
        resolve_overlaps(SPLITS, "dorp")


def test_users_without_train_pairs_are_left_out_and_counted():
    splits = SPLITS | {"test": np.array([[0, 2, 2, 7], [3, 1, 2, 1]])}
    with pytest.warns(DataWarning, match=r"2 users of test .* their 3 pairs are left"):
        kept = without_cold_users(splits)
    assert listed(kept) == listed(SPLITS | {"test": np.array([[0], [3]])})


def test_a_split_of_such_users_alone_is_an_error():
    with pytest.raises(DataError, match="no user of test has a train pair"):
        without_cold_users({"train": SPLITS["train"], "test": np.array([[5], [0]])})
