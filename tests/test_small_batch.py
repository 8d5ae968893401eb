import pytest

from pyg_advinfonce.small_batch import small_batch


@pytest.mark.parametrize("num_pairs", [4, 5, 63, 64, 963, 1023])
def test_few_pairs_fill_four_to_seven_batches(num_pairs):
    assert 4 <= num_pairs // small_batch(num_pairs) <= 7


@pytest.mark.parametrize("num_pairs", [1, 2, 3])
def test_a_batch_has_a_pair_at_least(num_pairs):
    assert small_batch(num_pairs) == 1
