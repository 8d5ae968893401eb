import json
from collections import Counter

import pytest

from pyg_advinfonce.datasets import load_dataset, profile
from pyg_advinfonce.errors import DatasetNotFoundError


def test_a_small_folder(make_folder):
    folder = make_folder(train="0 0 1 2\n1 1 1\n", valid="2 0\n", test="1 1\n2 3\n")
    found = profile(str(folder))
    assert json.loads(json.dumps(found)) == found
    assert (found["users"], found["items"], found["candidate_items"]) == (3, 4, 4)
    assert found["overlaps"] == {"train/valid": 0, "train/test": 1, "valid/test": 0}
    assert found["users_without_train"] == found["items_without_train"] == 1
    assert (found["licence"], found["folder"]) == (None, str(folder))
    train, test = found["splits"]["train"], found["splits"]["test"]
    assert (train["pairs"], train["duplicates_merged"]) == (4, 1)
    assert train["density"] == pytest.approx(4 / 12)
    assert train["user_degrees"]["count"] == 2
    assert train["user_degrees"]["mean"] == 2
    assert train["user_degrees"]["50%"] == 2
    assert (train["user_degrees"]["min"], train["user_degrees"]["max"]) == (1, 3)
    assert (test["cold_users"], test["cold_items"]) == (1, 1)
    assert (train["cold_users"], train["cold_items"]) == (0, 0)


def test_it_does_not_depend_on_the_order_of_the_lines(make_folder):
    one = profile(str(make_folder(train="0 1 2\n1 0\n", valid="1 1", test="0 0")))
    two = profile(str(make_folder(train="1 0\n0 2\n0 1\n", valid="1 1", test="0 0")))
    assert one == two


@pytest.mark.parametrize("data", ["toy", "simulated"])
def test_the_fingerprint_is_that_of_a_run(toy, data):
    expected = load_dataset(data, root=toy).fingerprint
    assert profile(data, toy)["fingerprint"].split(":")[-1] == expected.split(":")[-1]


def test_without_train_nobody_is_called_cold(make_folder):
    found = profile(str(make_folder(valid="0 1\n", test="1 2\n", not_candidate="0\n3")))
    assert (found["items"], found["candidate_items"]) == (4, 2)
    assert found["users_without_train"] is found["users_with_all_items"] is None
    assert found["splits"].keys() == {"valid", "test"}
    assert found["splits"]["test"]["cold_users"] is None
    assert found["overlaps"] == {"valid/test": 0}


def test_a_published_set_has_terms(splits, make_folder):
    texts = {name.removesuffix(".txt"): t.decode() for name, t in splits.items()}
    folder = make_folder("mine", **texts)
    assert profile(str(folder))["licence"] == "CC BY-SA 4.0 (https://kuairec.com)"


def test_nothing_to_describe(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="no such folder or table"):
        profile("../no/folder", tmp_path)
    with pytest.raises(DatasetNotFoundError, match="'coat' needs"):
        profile("coat", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetNotFoundError, match="not found in"):
        profile("empty", tmp_path)


def test_coat(real_data):
    found, dataset = profile("coat", real_data), load_dataset("coat", root=real_data)
    summary = dataset.summary()
    assert found["fingerprint"] == dataset.fingerprint
    assert found["overlaps"] == summary["overlaps"]
    assert {s: p["pairs"] for s, p in found["splits"].items()} == summary["pairs"]
    lines = (real_data / "coat" / "train.txt").read_text().splitlines()
    degrees = sorted(len(line.split()) - 1 for line in lines)
    users = found["splits"]["train"]["user_degrees"]
    assert (users["min"], users["max"]) == (degrees[0], degrees[-1])
    assert users["50%"] == sum(degrees[len(degrees) // 2 - 1 :][:2]) / 2
    items = Counter(item for line in lines for item in line.split()[1:])
    assert found["splits"]["train"]["item_degrees"]["max"] == max(items.values())


def test_part_of_kuairec(real_data):
    found = profile("kuairec_partial", real_data)
    assert (found["candidate_items"], found["items"]) == (3327, 10_728)
    pairs = {split: p["pairs"] for split, p in found["splits"].items()}
    assert pairs == {"valid": 72_392, "test": 144_783}
    assert found["splits"]["test"]["user_degrees"]["count"] == 1411
    assert found["licence"] == "CC BY-SA 4.0 (https://kuairec.com)"
