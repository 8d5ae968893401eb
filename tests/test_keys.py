import numpy as np
import pytest
import torch

from pyg_advinfonce.keys import MAX_ROWS, pair_keys, pairs_of

NUMBERS = {
    "int32": lambda rows: torch.tensor(rows, dtype=torch.int32),
    "int64": torch.tensor,
    "array": lambda rows: np.array(rows, dtype=np.int64),
    "int32 array": lambda rows: np.array(rows, dtype=np.int32),
}


@pytest.mark.parametrize("numbers", NUMBERS.values(), ids=NUMBERS)
def test_a_pair_is_one_number_that_sorts_by_user_and_then_by_item(numbers):
    top = MAX_ROWS - 1
    users, items = [0, 0, 1, top, top], [0, top, 0, 0, top]
    keys = pair_keys(numbers(users), numbers(items))
    assert keys.tolist() == sorted(
        {MAX_ROWS * u + i for u, i in zip(users, items, strict=True)}
    )
    assert [rows.tolist() for rows in pairs_of(keys)] == [users, items]
