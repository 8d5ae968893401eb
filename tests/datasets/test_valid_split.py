import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyg_advinfonce.datasets.split_files import distinct_pairs, pair_keys
from pyg_advinfonce.datasets.valid_split import split_off_valid
from pyg_advinfonce.errors import ConfigError

BLOCK = np.stack(np.divmod(np.arange(1000), 50))  # 20 users with 50 items each


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
    both = np.concatenate([pair_keys(kept), pair_keys(valid)])
    assert sorted(both) == list(pair_keys(train))
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
