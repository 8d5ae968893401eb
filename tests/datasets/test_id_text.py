from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyg_advinfonce.datasets.id_text import (
    is_printable_id,
    parse_raw_ids,
    raw_ids_text,
)
from pyg_advinfonce.errors import DataError

PATH = Path("some/user_ids.txt")
texts = st.lists(st.text(min_size=1).filter(is_printable_id), unique=True)
numbers = st.lists(st.integers(0, 2**63 - 1), unique=True, min_size=1)


@given(texts | numbers)
def test_what_is_written_is_read(ids):
    found = parse_raw_ids(raw_ids_text(ids).encode(), PATH)
    assert list(map(str, found)) == list(map(str, ids))


def test_integers_are_an_array():
    ids = parse_raw_ids(b"\xef\xbb\xbf3\r\n10", PATH)
    assert isinstance(ids, np.ndarray)
    assert ids.tolist() == [3, 10]
    assert parse_raw_ids(b"3\n010\n", PATH) == ["3", "010"]


@pytest.mark.parametrize(
    ("content", "place"),
    [(b"1\n\n2\n", ":2:"), (b"1\n1\n", ":2:"), (b"a\n\xff\n", ":2:"), (b"a\0", ":1:")],
)
def test_a_wrong_line_is_named(content, place):
    with pytest.raises(DataError, match=rf"user_ids\.txt{place} expected"):
        parse_raw_ids(content, PATH)


@given(st.binary(max_size=30))
def test_any_bytes_are_ids_or_an_error_of_one_line(content):
    message = ""
    try:
        parse_raw_ids(content, PATH)
    except DataError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1
