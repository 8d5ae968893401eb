import pytest

from pyg_advinfonce.small_batch import small_batch


@pytest.mark.parametrize("num_pairs", [8, 15, 16, 63, 64, 963, 1023])
def test_few_pairs_fill_four_to_seven_batches(num_pairs):
    assert 4 <= num_pairs // small_batch(num_pairs) <= 7


@pytest.mark.parametrize("num_pairs", [2, 3, 4, 7])
def test_a_batch_has_two_pairs_at_least(num_pairs):
    assert small_batch(num_pairs) == 2


def test_one_pair():
    assert small_batch(1) == 1
