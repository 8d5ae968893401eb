import numpy as np
import pandas as pd
import pytest

from pyg_advinfonce.datasets.tables.read import IdCodes
from pyg_advinfonce.errors import DataError


def rows(*columns):
    """Return the sorted ids and the rows of each column."""
    ids = IdCodes()
    codes = [ids.codes(pd.Series(list(column))) for column in columns]
    in_order, row = ids.sort(lambda text, expected: DataError(f"{expected}: {text!r}"))
    return in_order, [row[code].tolist() for code in codes]


def test_integers_are_sorted_as_numbers():
    ids, found = rows(["10", "9", "10"], [9, 100])
    assert ids.dtype == np.int64
    assert (ids.tolist(), found) == ([9, 10, 100], [[1, 0, 1], [0, 2]])


def test_strings_are_sorted_by_code_point():
    ids, found = rows(["b", "☃", "B", " b\t"])
    assert (ids, found) == (["B", "b", "☃"], [[1, 2, 0, 1]])


def test_one_string_makes_all_strings():
    assert rows(["10", "9", "x", "-1", "3.0"])[0] == ["-1", "10", "3.0", "9", "x"]


def test_padded_numbers_are_strings():
    assert rows(["007", "7"])[0] == ["007", "7"]


@pytest.mark.parametrize(
    "wrong", ["3.0", "-1", "1e3", "9223372036854775808", "+1", 3.0, -1]
)
def test_a_number_that_is_no_id_is_refused_among_numbers(wrong):
    with pytest.raises(DataError, match=r"an integer id from 0 to 2\*\*63 - 1"):
        rows(["1", wrong])


@pytest.mark.parametrize("wrong", ["", " ", "nan", "NaN", "inf", None, "a\0b", "a\nb"])
def test_what_is_no_id_is_refused_everywhere(wrong):
    with pytest.raises(DataError, match="an id"):
        rows(["x", wrong])


def test_the_largest_integer():
    assert rows([2**63 - 1, 0])[0].tolist() == [0, 2**63 - 1]
