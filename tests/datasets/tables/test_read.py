import gzip

import numpy as np
import pandas as pd
import pytest

from pyg_advinfonce import files
from pyg_advinfonce.datasets.tables import open_table
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


def test_a_small_file_that_unpacks_to_an_endless_line(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_LINE", 10**6)
    for name, head in (("t.csv.gz", b"u,i\n1,2\n"), ("t.jsonl.gz", b'{"u": 1}\n')):
        path = tmp_path / name
        path.write_bytes(gzip.compress(head + bytes(3 * 10**6)))
        with pytest.raises(DataError, match="lines of at most 1,000,000 bytes"):
            list(open_table(path).chunks(["u"], [], None))


def test_a_small_file_that_unpacks_to_endless_lines(tmp_path, monkeypatch):
    path = tmp_path / "t.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"u": 1}\n' + b"\n" * 10**7))
    monkeypatch.setattr(files, "MAX_BYTES", 10**6)
    with pytest.raises(DataError, match="at most 1,000,000 bytes"):
        list(open_table(path).chunks(["u"], [], None))


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_a_file_that_is_too_large_is_not_opened(tmp_path, name):
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(10 * 2**40)  # a hole, which needs no space
    with pytest.raises(DataError, match=r"at most 68,719,476,736 bytes, got 10,995"):
        open_table(path)
