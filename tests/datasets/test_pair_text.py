import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyg_advinfonce.datasets import pair_text
from pyg_advinfonce.datasets.pair_text import MAX_ROWS, parse_ids, parse_pairs
from pyg_advinfonce.errors import DataError

PATH = Path("some/train.txt")


def naive(text: str) -> list[tuple[int, int]]:
    pairs = []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        words = [int(word) for word in line.split()]
        pairs += [(words[0], item) for item in words[1:]]
    return pairs


def parse(content: bytes) -> list[tuple[int, int]]:
    return [(u, i) for u, i in parse_pairs(content, PATH).T.tolist()]


blank = st.text(" \t", min_size=1, max_size=3)
line = st.tuples(
    st.lists(st.integers(0, MAX_ROWS - 1), min_size=1, max_size=5),
    blank,
    st.text(" \t", max_size=2),
    st.text(" \t", max_size=2),
).map(lambda t: t[2] + t[1].join(map(str, t[0])) + t[3])
ends = st.sampled_from(["\n", "\r\n", "\n\n", "\r", " \n\t\r\n"])


@given(st.lists(st.tuples(line, ends)), st.booleans(), st.booleans())
def test_any_layout_reads_as_a_naive_parser_reads_it(lines, bom, final_end):
    text = "".join(words + end for words, end in lines)
    if not final_end:
        text = text.rstrip("\r\n")
    content = (b"\xef\xbb\xbf" if bom else b"") + text.encode()
    expected = [p for part in [text] for p in naive_lines(part)]
    assert parse(content) == expected


def naive_lines(text: str) -> list[tuple[int, int]]:
    kept = [part for part in re.split(r"[\r\n]+", text) if part.strip()]
    return naive("\n".join(kept)) if kept else []


@given(st.binary(max_size=60) | st.text("0123 \t\n\rx-.", max_size=60).map(str.encode))
@example(b"\xff\xfe0\x00 \x001\x00")
@example(b"0 1\n\x00")
@example(b"0 1\x0b2\n")
@example("0 \u0661\n".encode())
@example(b"9" * 5000)
def test_any_bytes_give_pairs_or_one_line_with_the_place(content):
    try:
        pairs = parse_pairs(content, PATH)
    except DataError as error:
        message = str(error)
        assert re.match(r"some/train\.txt:\d+:\d+: expected a non-neg", message)
        assert len(message.splitlines()) == 1
        assert len(message) < 400
    else:
        assert pairs.shape[0] == 2
        assert pairs.dtype == np.int64
        assert pairs.min(initial=0) >= 0


@pytest.mark.parametrize(
    ("content", "place", "shown"),
    [
        (b"0 1\n2 x\n", "2:3", "'x'"),
        (b"0 1\r\n\r\n1 -1\r\n", "3:3", "'-1'"),
        (b"0 1\n1  3.0", "2:4", "'3.0'"),
        (b"0 nan", "1:3", "'nan'"),
        (b"user 1", "1:1", "'user'"),
        (b"0 +1", "1:3", "'+1'"),
        (b"0 1_0", "1:3", "'1_0'"),
        (b'"0" 1', "1:1", "'\"0\"'"),
        (b"0\t1,2", "1:3", "'1,2'"),
        (b"\xef\xbb\xbf0 x", "1:3", "'x'"),
        (b"0 9223372036854775808", "1:3", "'9223372036854775808'"),
        (b"0 2147483648", "1:3", "'2147483648'"),
        (b"2147483648", "1:1", "'2147483648'"),
    ],
)
def test_a_wrong_word_is_named_with_its_place(content, place, shown):
    with pytest.raises(DataError) as error:
        parse_pairs(content, PATH)
    assert str(error.value).startswith(
        f"some/train.txt:{place}: expected a non-negative integer"
    )
    assert str(error.value).endswith(f", got {shown}")


def test_known_numbers_bound_the_ids():
    parse_pairs(b"1 2", PATH, num_users=2, num_items=3)
    with pytest.raises(DataError, match=r":1:1: .* below 1, got '1'"):
        parse_pairs(b"1 2", PATH, num_users=1, num_items=3)
    with pytest.raises(DataError, match=r":2:3: .* below 3, got '3'"):
        parse_pairs(b"0 2\n1 3", PATH, num_users=2, num_items=3)


def test_good_text_is_never_parsed_line_by_line(monkeypatch):
    monkeypatch.setattr(pair_text, "_parse_by_line", None)
    assert parse(b"\xef\xbb\xbf0 1\t 2 \r\n\r\n1 3") == [(0, 1), (0, 2), (1, 3)]


def test_leading_zeros_are_numbers_of_any_length():
    assert parse(b"000 0" + b"0" * 30 + b"7") == [(0, 7)]


@pytest.mark.parametrize("content", [b"", b"\n", b" \t\r\n", b"\xef\xbb\xbf", b"7\n8"])
def test_no_pairs(content):
    assert parse_pairs(content, PATH).shape == (2, 0)


def test_ids_one_a_line():
    assert parse_ids(b"\xef\xbb\xbf3\r\n\r\n1 \n", PATH).tolist() == [3, 1]
    with pytest.raises(DataError, match=r":2:3: expected one id a line"):
        parse_ids(b"3\n1 2\n", PATH)
    with pytest.raises(DataError, match=r":1:1: .* below 3, got '3'"):
        parse_ids(b"3", PATH, limit=3)
    with pytest.raises(DataError, match=r":1:1: .* got 'a'"):
        parse_ids(b"a", PATH)
