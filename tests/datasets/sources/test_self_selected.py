import numpy as np
import pytest

from pyg_advinfonce.datasets.sources.self_selected import split_self_selected


@pytest.mark.parametrize("seed", range(5))
def test_items_keep_a_train_pair_where_they_should(seed):
    pairs = np.stack([np.repeat(np.arange(20), 5), np.arange(100)])  # an item a pair
    rng = np.random.default_rng(seed)
    train, valid = split_self_selected(pairs, rng, keeps_items=True)
    assert (train.shape[1], valid.shape[1]) == (100, 0)
    train, valid = split_self_selected(pairs, rng, keeps_items=False)
    assert set(train[0]) == set(range(20))
    assert 20 <= valid.shape[1] <= 30
