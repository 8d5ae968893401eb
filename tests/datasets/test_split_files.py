import numpy as np
import pytest

from pyg_advinfonce.datasets.split_files import distinct_pairs, parse_files, read_files
from pyg_advinfonce.errors import DataError


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
    with pytest.raises(DataError, match=r"not_candidate\.txt: .* all 2 are excluded"):
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
