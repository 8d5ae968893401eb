import numpy as np
import pytest

from pyg_advinfonce.datasets.make_split import make_split
from pyg_advinfonce.datasets.sources.yahoo import FILES, TEST, TRAIN, build_yahoo
from pyg_advinfonce.datasets.split_files import parse_files, read_files
from pyg_advinfonce.errors import DataError

# Users 2 and 4 like nothing that they chose; song 8 is rated, but never well.
CHOSEN = "1\t5\t5\n1\t6\t4\n2\t5\t3\n3\t7\t4\n3\t5\t5\n3\t8\t1\n10\t6\t5\n10\t6\t5\n"
SHOWN = "1\t7\t5\n2\t6\t5\n3\t6\t4\n4\t5\t5\n3\t9\t4\n"


@pytest.fixture
def write(tmp_path):
    def write(chosen, shown):
        (tmp_path / TRAIN).write_text(chosen)
        (tmp_path / TEST).write_text(shown)
        return {name: tmp_path / name for name in FILES}

    return write


def raw_pairs(splits, *names):
    return sorted(
        (int(splits.user_ids[u]), int(splits.item_ids[i]))
        for name in names
        for u, i in splits.pairs[name].T
    )


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_users_with_a_self_chosen_positive(write, end):
    splits = build_yahoo(write(CHOSEN.replace("\n", end), SHOWN), 0)
    assert splits.user_ids.tolist() == [1, 3, 10]
    assert splits.item_ids.tolist() == [5, 6, 7, 8, 9]
    both = [(1, 5), (1, 6), (3, 5), (3, 7), (10, 6)]
    assert raw_pairs(splits, "train", "valid") == both
    assert raw_pairs(splits, "test") == [(1, 7), (3, 6), (3, 9)]
    assert splits.duplicates == {"train": 1, "test": 0}


def test_every_user_keeps_a_train_pair_for_any_seed(write):
    files = write(CHOSEN, SHOWN)
    for seed in range(20):
        assert set(build_yahoo(files, seed).pairs["train"][0]) == {0, 1, 2}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1\t7", "study-v1_0-test.txt:6:3: expected a finite number"),
        ("1\t7\tx", "study-v1_0-test.txt:6:3: expected a finite number"),
        ("-1\t7\t5", "study-v1_0-test.txt:6:1: expected an integer id"),
        ("1\t\t5", "study-v1_0-test.txt:6:2: expected an id"),
    ],
)
def test_a_wrong_line_is_named(write, line, said):
    with pytest.raises(DataError, match=said):
        build_yahoo(write(CHOSEN, SHOWN + line + "\n"), 0)


def test_files_without_what_is_needed(write):
    with pytest.raises(DataError, match=r"-test\.txt:1: expected users of"):
        build_yahoo(write(CHOSEN, "77\t5\t5\n"), 0)
    with pytest.raises(
        DataError, match=r"-train\.txt:1: expected rows with rating >= 4"
    ):
        build_yahoo(write("1\t5\t1\n", SHOWN), 0)
    with pytest.raises(DataError, match=r"-train\.txt:1: expected a line"):
        build_yahoo(write("", SHOWN), 0)


def test_the_counts_of_the_published_splits(real_data, write, tmp_path):
    published = parse_files(read_files(real_data / "yahoo"))
    raw_user = np.sort(np.random.default_rng(0).permutation(15_400)[:14_382]) + 1
    texts = {}
    for name, pairs in published.pairs.items():
        lines = zip(raw_user[pairs[0]], pairs[1] + 1, strict=True)
        texts[name] = "".join(f"{u}\t{i}\t{4 + u % 2}\n" for u, i in lines)
    others = np.setdiff1d(np.arange(1, 15_401), raw_user)
    disliked = "".join(f"{u}\t{u % 1000 + 1}\t2\n" for u in others)
    write(
        texts["train"] + disliked + texts["valid"],
        texts["test"] + f"{others[0]}\t1\t5\n",
    )
    folder = make_split("yahoo", tmp_path / "out", raw=tmp_path)
    counts = dict(folder.record["counts"])
    valid = counts.pop("valid")
    train = 125_077 - valid
    assert counts == {"users": 14_382, "items": 1000, "train": train, "test": 4671}
    assert valid / 125_077 == pytest.approx(0.291, abs=0.005)
    found = parse_files(read_files(tmp_path / "out"))
    assert found.user_ids.tolist() == raw_user.tolist()
    assert np.array_equal(found.pairs["test"], published.pairs["test"])
