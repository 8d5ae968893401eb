import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyg_advinfonce.datasets.base import (
    distinct_pairs,
    is_printable_id,
    parse_files,
    raw_ids_text,
    read_files,
)
from pyg_advinfonce.datasets.base import split_files as pair_text
from pyg_advinfonce.datasets.base.split_files import (
    parse_ids,
    parse_pairs,
    parse_raw_ids,
)
from pyg_advinfonce.errors import DataError
from pyg_advinfonce.keys import MAX_ROWS


def parse(folder, **known):
    return parse_files(read_files(folder), **known)


def test_files_become_splits(make_folder):
    folder = make_folder(
        train="0 1",
        valid="0 2",
        test_ood_1="0 3",
        test_ood_2="0 4",
        test_ood_3="0 5",
        notes="nothing to parse",
    )
    raw = parse(folder)
    assert {name: pairs.T.tolist() for name, pairs in raw.pairs.items()} == {
        "train": [[0, 1]],
        "valid": [[0, 2]],
        "test_gamma_200": [[0, 3]],
        "test_gamma_10": [[0, 4]],
        "test_gamma_2": [[0, 5]],
    }
    assert (raw.num_users, raw.num_items) == (1, 6)


def test_a_test_id_file_that_repeats_the_test_is_dropped(make_folder):
    folder = make_folder(train="0 1", test_ood="0 2 3\n", test_id="0 3 2\r\n")
    assert list(parse(folder).pairs) == ["train", "test"]


def test_another_test_id_file_is_a_split(make_folder):
    folder = make_folder(train="0 1", test_ood="0 2 3", test_id="0 2")
    assert list(parse(folder).pairs) == ["train", "test", "test_id"]


def test_two_files_of_one_split_must_agree(make_folder):
    folder = make_folder(train="0 1", test="0 2", test_ood="0 2")
    assert list(parse(folder).pairs) == ["train", "test"]
    make_folder(test_ood="0 3")
    with pytest.raises(DataError, match=r"test_ood\.txt: expected the same .* remove"):
        parse(folder)


def test_duplicates_are_merged_and_counted(make_folder):
    raw = parse(make_folder(train="1 2 2\n0 1\n1 2\n"))
    assert raw.pairs["train"].T.tolist() == [[0, 1], [1, 2]]
    assert raw.duplicates == {"train": 2}


def test_users_without_items_are_skipped(make_folder):
    raw = parse(make_folder(train="0 1\n7\n1 0"))
    assert raw.num_users == 2


def test_an_empty_split_is_an_error(make_folder):
    with pytest.raises(DataError, match=r"valid\.txt: expected user-item pairs"):
        parse(make_folder(train="0 1", valid=""))


def test_items_that_are_not_candidates(make_folder):
    raw = parse(make_folder(train="0 1", not_candidate="3\n1\n"))
    assert raw.num_items == 4
    assert raw.candidate_mask is not None
    assert raw.candidate_mask.tolist() == [True, False, True, False]


def test_an_empty_list_of_non_candidates_excludes_nothing(make_folder):
    assert parse(make_folder(train="0 1", not_candidate="")).candidate_mask is None


def test_some_item_must_be_a_candidate(make_folder):
    with pytest.raises(
        DataError, match=r"not_candidate\.txt: .* all 2 items are excluded"
    ):
        parse(make_folder(train="0 1", not_candidate="0\n1"))


def test_known_numbers_win(make_folder):
    raw = parse(make_folder(train="0 1"), num_users=5, num_items=6)
    assert (raw.num_users, raw.num_items) == (5, 6)
    with pytest.raises(DataError, match=r"not_candidate\.txt:1:1: .* below 6"):
        parse(make_folder(not_candidate="6"), num_users=5, num_items=6)


def test_a_folder_in_place_of_a_file_is_an_error(make_folder):
    folder = make_folder()
    (folder / "train.txt").mkdir()
    with pytest.raises(DataError, match=r"train\.txt: expected a readable file"):
        read_files(folder)


def test_distinct_pairs_are_sorted_up_to_the_largest_ids():
    top = 2**31 - 1
    pairs = np.array([[top, 0, top, 0], [top, 3, top, 0]])
    assert distinct_pairs(pairs).T.tolist() == [[0, 0], [0, 3], [top, top]]


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


PAIR_TEXT_PATH = Path("some/train.txt")


def naive(text: str) -> list[tuple[int, int]]:
    pairs = []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        words = [int(word) for word in line.split()]
        pairs += [(words[0], item) for item in words[1:]]
    return pairs


def parse_of_pair_text(content: bytes) -> list[tuple[int, int]]:
    return [(u, i) for u, i in parse_pairs(content, PAIR_TEXT_PATH).T.tolist()]


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
    assert parse_of_pair_text(content) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_text_is_read_in_blocks_of_any_size(size, monkeypatch):
    monkeypatch.setattr(pair_text, "_BLOCK_BYTES", size)
    text = "0 10 11\r\n\r\n1\n2 2147483647\r12 13 14 15\n\n3 0"
    assert parse_of_pair_text(text.encode()) == naive(text.replace("\r\n\r\n", "\n"))
    with pytest.raises(DataError, match=r"^some/train\.txt:7:3: expected a non-neg"):
        parse_pairs(text.replace("3 0", "3 x").encode(), PAIR_TEXT_PATH)


def test_a_colon_after_the_user_is_a_blank():
    expected = [(1, 5), (1, 6), (2, 7), (3, 8)]
    for end in ("\n", "\r\n", "\r"):
        text = end.join(["1:5 6", "2:7", "3: 8", "4:"])
        assert parse_of_pair_text(text.encode()) == expected


@pytest.mark.parametrize("line", ["1 5:6", "1:5:6", "1:5,6", ":5", " 1:5"])
def test_a_colon_elsewhere_is_not(line):
    with pytest.raises(DataError, match=r"x\.txt:2:"):
        parse_pairs(f"0 1\n{line}\n".encode(), Path("x.txt"))


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
        pairs = parse_pairs(content, PAIR_TEXT_PATH)
    except DataError as error:
        message = str(error)
        assert re.match(r"some/train\.txt:\d+:\d+: expected a non-neg", message)
        assert len(message.splitlines()) == 1
        assert len(message) < 400
    else:
        assert pairs.shape[0] == 2
        assert pairs.dtype == np.int32
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
        parse_pairs(content, PAIR_TEXT_PATH)
    assert str(error.value).startswith(
        f"some/train.txt:{place}: expected a non-negative integer"
    )
    assert str(error.value).endswith(f", got {shown}")


def test_known_numbers_bound_the_ids():
    parse_pairs(b"1 2", PAIR_TEXT_PATH, num_users=2, num_items=3)
    with pytest.raises(DataError, match=r":1:1: .* below 1, got '1'"):
        parse_pairs(b"1 2", PAIR_TEXT_PATH, num_users=1, num_items=3)
    with pytest.raises(DataError, match=r":2:3: .* below 3, got '3'"):
        parse_pairs(b"0 2\n1 3", PAIR_TEXT_PATH, num_users=2, num_items=3)


def test_good_text_is_never_parsed_line_by_line(monkeypatch):
    monkeypatch.setattr(pair_text, "_parse_by_line", None)
    assert parse_of_pair_text(b"\xef\xbb\xbf0 1\t 2 \r\n\r\n1 3") == [
        (0, 1),
        (0, 2),
        (1, 3),
    ]


def test_leading_zeros_are_numbers_of_any_length():
    assert parse_of_pair_text(b"000 0" + b"0" * 30 + b"7") == [(0, 7)]


@pytest.mark.parametrize("content", [b"", b"\n", b" \t\r\n", b"\xef\xbb\xbf", b"7\n8"])
def test_no_pairs(content):
    assert parse_pairs(content, PAIR_TEXT_PATH).shape == (2, 0)


def test_ids_one_a_line():
    assert parse_ids(b"\xef\xbb\xbf3\r\n\r\n1 \n", PAIR_TEXT_PATH).tolist() == [3, 1]
    with pytest.raises(DataError, match=r":2:3: expected one id per line"):
        parse_ids(b"3\n1 2\n", PAIR_TEXT_PATH)
    with pytest.raises(DataError, match=r":1:1: .* below 3, got '3'"):
        parse_ids(b"3", PAIR_TEXT_PATH, limit=3)
    with pytest.raises(DataError, match=r":1:1: .* got 'a'"):
        parse_ids(b"a", PAIR_TEXT_PATH)
