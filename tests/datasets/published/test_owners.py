import numpy as np
import pytest

from pyg_advinfonce.datasets import make_split
from pyg_advinfonce.datasets.base import parse_files, read_files
from pyg_advinfonce.datasets.published.owners import (
    KUAIREC_FILES,
    YAHOO_FILES,
    YAHOO_TEST,
    YAHOO_TRAIN,
    build_coat,
    build_kuairec,
    build_movielens,
    build_yahoo,
    split_self_selected,
)
from pyg_advinfonce.datasets.splits import SplitOptions
from pyg_advinfonce.datasets.tables import delimited
from pyg_advinfonce.errors import ConfigError, DataError


@pytest.fixture
def write(tmp_path):
    """Write the two matrices as they are published."""

    def write(chosen, shown, end=" \n"):
        files = {}
        for name, rows in {"train.ascii": chosen, "test.ascii": shown}.items():
            lines = [
                row if isinstance(row, str) else " ".join(map(str, row)) for row in rows
            ]
            files[name] = tmp_path / name
            files[name].write_text("".join(line + end for line in lines))
        return files

    return write


# The last item has no positive, the one before it none that was self-chosen.
CHOSEN = [[4, 0, 5, 0, 3], [5, 4, 0, 0, 0], [0, 5, 4, 3, 1], [1, 0, 0, 0, 0]]
SHOWN = [[0, 5, 0, 4, 0], [0, 4, 3, 5, 0], [4, 0, 0, 0, 3], [5, 0, 0, 0, 0]]


def pairs_of(splits, *names):
    return sorted(p for name in names for p in splits.pairs[name].T.tolist())


@pytest.mark.parametrize("end", [" \n", "\r\n", "\n\n", "\t\n"])
def test_ratings_from_4_on_are_positive(write, end):
    splits = build_coat(write(CHOSEN, SHOWN, end), 0)
    assert (splits.num_users, splits.num_items) == (3, 3)
    assert splits.user_ids.tolist() == [0, 1, 2]
    assert splits.item_ids.tolist() == [0, 1, 2]
    both = [[0, 0], [0, 2], [1, 0], [1, 1], [2, 1], [2, 2]]
    assert pairs_of(splits, "train", "valid") == both
    assert pairs_of(splits, "test") == [[0, 1], [1, 1], [2, 0]]


def test_every_user_and_item_keeps_a_train_pair_for_any_seed(write):
    rng = np.random.default_rng(0)
    chosen, shown = rng.integers(0, 6, (2, 12, 9))
    chosen[0], chosen[0, 3] = 0, 5  # a single positive
    files = write(chosen, shown)
    splits = [build_coat(files, seed) for seed in range(9)]
    for one in splits:
        assert set(one.pairs["train"][0]) == set(range(one.num_users))
        assert set(one.pairs["train"][1]) == set(range(one.num_items))
        both = pairs_of(one, "train", "valid")
        assert both == pairs_of(splits[0], "train", "valid")
    assert len({str(one.pairs["valid"]) for one in splits}) > 1
    again = build_coat(files, 3)
    assert np.array_equal(again.pairs["valid"], splits[3].pairs["valid"])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("4 0 5", "train.ascii:2: expected 5 ratings, got 3"),
        ("4 0 5 0 6", "train.ascii:2:5: expected a rating from 1 to 5, or 0"),
        ("4 0 5 0 4.0", "train.ascii:2:5: .* got '4.0'"),
        ("4 0 5 0 nan", "train.ascii:2:5: .* got 'nan'"),
        ("4,0,5,0,3", "train.ascii:2:1: .* got '4,0,5,0,3'"),
        ("4 0 -5 0 3", "train.ascii:2:3: .* got '-5'"),
    ],
)
def test_a_wrong_rating_is_named_with_its_place(write, row, said):
    with pytest.raises(DataError, match=said):
        build_coat(write([CHOSEN[0], row], SHOWN[:2]), 0)


def test_matrices_without_ratings_or_of_other_shapes(write):
    with pytest.raises(DataError, match=r"train\.ascii:1: expected a matrix"):
        build_coat(write([], SHOWN), 0)
    with pytest.raises(
        DataError, match=r"of \(4, 5\) as in train\.ascii, got \(3, 5\)"
    ):
        build_coat(write(CHOSEN, SHOWN[:3]), 0)
    with pytest.raises(DataError, match=r"test\.ascii:1: expected ratings of 4 or 5"):
        build_coat(write(CHOSEN, np.zeros((4, 5), int)), 0)


def test_the_counts_of_the_published_splits(real_data, write, tmp_path):
    published = parse_files(read_files(real_data / "coat"))
    kept = np.delete(np.arange(300), [3, 50, 120, 200, 299])
    chosen, shown = np.zeros((2, 290, 300), dtype=int)
    for name, matrix in {"train": chosen, "valid": chosen, "test": shown}.items():
        user, item = published.pairs[name]
        matrix[user, kept[item]] = 4 + (user + item) % 2
    chosen[chosen == 0] = 2
    files = write(chosen, shown)
    out = tmp_path / "out"
    folder = make_split("coat", out, raw=files["train.ascii"].parent)
    counts = dict(folder.manifest["counts"])
    valid = counts.pop("valid")
    del counts["seen"]
    assert counts == {"users": 290, "items": 295, "train": 1916 - valid, "test": 860}
    assert valid == pytest.approx(553, abs=25)
    found = parse_files(read_files(out))
    assert np.array_equal(found.pairs["test"], published.pairs["test"])


@pytest.mark.parametrize("seed", range(5))
def test_items_keep_a_train_pair_where_they_should(seed):
    pairs = np.stack([np.repeat(np.arange(20), 5), np.arange(100)])  # an item a pair
    rng = np.random.default_rng(seed)
    train, valid = split_self_selected(pairs, rng, keeps_items=True)
    assert (train.shape[1], valid.shape[1]) == (100, 0)
    train, valid = split_self_selected(pairs, rng, keeps_items=False)
    assert set(train[0]) == set(range(20))
    assert 20 <= valid.shape[1] <= 30


# Users 2 and 4 like nothing that they chose; song 8 is rated, but never well.
YAHOO_CHOSEN = (
    "1\t5\t5\n1\t6\t4\n2\t5\t3\n3\t7\t4\n3\t5\t5\n3\t8\t1\n10\t6\t5\n10\t6\t5\n"
)
YAHOO_SHOWN = "1\t7\t5\n2\t6\t5\n3\t6\t4\n4\t5\t5\n3\t9\t4\n"


@pytest.fixture
def write_of_yahoo(tmp_path):
    def write_of_yahoo(chosen, shown):
        (tmp_path / YAHOO_TRAIN).write_text(chosen)
        (tmp_path / YAHOO_TEST).write_text(shown)
        return {name: tmp_path / name for name in YAHOO_FILES}

    return write_of_yahoo


def raw_pairs(splits, *names):
    return sorted(
        (int(splits.user_ids[u]), int(splits.item_ids[i]))
        for name in names
        for u, i in splits.pairs[name].T
    )


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_users_with_a_self_chosen_positive(write_of_yahoo, end):
    splits = build_yahoo(
        write_of_yahoo(YAHOO_CHOSEN.replace("\n", end), YAHOO_SHOWN), 0
    )
    assert splits.user_ids.tolist() == [1, 3, 10]
    assert splits.item_ids.tolist() == [5, 6, 7, 8, 9]
    both = [(1, 5), (1, 6), (3, 5), (3, 7), (10, 6)]
    assert raw_pairs(splits, "train", "valid") == both
    assert raw_pairs(splits, "test") == [(1, 7), (3, 6), (3, 9)]
    assert splits.duplicates == {"train": 1, "test": 0}


def test_every_user_keeps_a_train_pair_for_any_seed(write_of_yahoo):
    files = write_of_yahoo(YAHOO_CHOSEN, YAHOO_SHOWN)
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
def test_a_wrong_line_is_named(write_of_yahoo, line, said):
    with pytest.raises(DataError, match=said):
        build_yahoo(write_of_yahoo(YAHOO_CHOSEN, YAHOO_SHOWN + line + "\n"), 0)


def test_files_without_what_is_needed(write_of_yahoo):
    with pytest.raises(DataError, match=r"-test\.txt:1: expected users of"):
        build_yahoo(write_of_yahoo(YAHOO_CHOSEN, "77\t5\t5\n"), 0)
    with pytest.raises(DataError, match=r"-train\.txt:1: no row satisfies rating >= 4"):
        build_yahoo(write_of_yahoo("1\t5\t1\n", YAHOO_SHOWN), 0)
    with pytest.raises(DataError, match=r"-train\.txt:1: expected a header line"):
        build_yahoo(write_of_yahoo("", YAHOO_SHOWN), 0)


def test_yahoo_the_counts_of_the_published_splits(real_data, write_of_yahoo, tmp_path):
    published = parse_files(read_files(real_data / "yahoo"))
    raw_user = np.sort(np.random.default_rng(0).permutation(15_400)[:14_382]) + 1
    texts = {}
    for name, pairs in published.pairs.items():
        lines = zip(raw_user[pairs[0]], pairs[1] + 1, strict=True)
        texts[name] = "".join(f"{u}\t{i}\t{4 + u % 2}\n" for u, i in lines)
    others = np.setdiff1d(np.arange(1, 15_401), raw_user)
    disliked = "".join(f"{u}\t{u % 1000 + 1}\t2\n" for u in others)
    write_of_yahoo(
        texts["train"] + disliked + texts["valid"],
        texts["test"] + f"{others[0]}\t1\t5\n",
    )
    folder = make_split("yahoo", tmp_path / "out", raw=tmp_path)
    counts = dict(folder.manifest["counts"])
    valid = counts.pop("valid")
    train = 125_077 - valid
    assert counts == {"users": 14_382, "items": 1000, "train": train, "test": 4671}
    assert valid / 125_077 == pytest.approx(0.291, abs=0.005)
    found = parse_files(read_files(tmp_path / "out"))
    assert found.user_ids.tolist() == raw_user.tolist()
    assert np.array_equal(found.pairs["test"], published.pairs["test"])


HEAD = "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio\n"


def view(user, video, ratio, time="2020-07-05 00:08:23.438,20200705,1593878903.438"):
    return f"{user},{video},13838,10867,{time},{ratio}\n"


# The view of video 0 by user 3 counts once; a ratio of 2.0 is not more than twice.
BIG = [
    view(0, 1, 2.5),
    view(3, 0, 0.1),
    view(3, 0, 2.1),
    view(3, 0, 7),
    view(3, 2, 2.0),
]
BIG += [view(5, 4, 1.9)]
SMALL = [view(0, 2, 3, ",,"), view(3, 2, 2.2, ",,"), view(0, 1, 0.5), view(3, 1, 2.01)]


@pytest.fixture
def write_kuairec(tmp_path):
    def write(big, small, head=HEAD):
        for name, rows in zip(KUAIREC_FILES, (big, small), strict=True):
            (tmp_path / name).write_text(head + "".join(rows))
        return {name: tmp_path / name for name in KUAIREC_FILES}

    return write


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_train_is_of_the_big_matrix_and_what_is_held_out_of_the_small_one(
    write_kuairec, chunk, monkeypatch
):
    monkeypatch.setattr(delimited, "CHUNK_ROWS", chunk)
    splits = build_kuairec(write_kuairec(BIG, SMALL), 0)
    assert splits.user_ids.tolist() == [0, 3, 5]
    assert splits.item_ids.tolist() == [0, 1, 2, 4]
    assert splits.pairs["train"].T.tolist() == [[0, 1], [1, 0]]
    assert splits.duplicates["train"] == 1
    held_out = [p for n in ("valid", "test") for p in splits.pairs[n].T.tolist()]
    assert sorted(held_out) == [[0, 2], [1, 1], [1, 2]]
    assert splits.pairs["valid"].shape[1] == 1
    assert splits.candidate_mask.tolist() == [False, True, True, False]


def test_the_seed_decides_which_third_is_valid(write_kuairec):
    files = write_kuairec(BIG, [view(u, i, 3) for u in (0, 3) for i in range(15)])
    one, same, other = (build_kuairec(files, s).pairs["valid"] for s in (0, 0, 1))
    assert one.shape[1] == 10
    assert one.tolist() == same.tolist() != other.tolist()


def test_what_is_wrong_is_named(write_kuairec):
    with pytest.raises(DataError, match=r"big_matrix\.csv:1: .*column 'watch_ratio'"):
        build_kuairec(
            write_kuairec(BIG, SMALL, HEAD.replace("watch_ratio", "ratio")), 0
        )
    with pytest.raises(DataError, match=r"small_matrix\.csv:3:8: expected a finite"):
        build_kuairec(write_kuairec(BIG, [SMALL[0], view(1, 1, "")]), 0)
    with pytest.raises(DataError, match=r"small_matrix\.csv:1: expected at least two"):
        build_kuairec(write_kuairec(BIG, SMALL[:1]), 0)


@pytest.fixture
def films(tmp_path):
    """Ratings of five users, of whom three have five positives."""
    rows = [(u, f, 4 + f % 2) for u in (3, 7, 9) for f in range(10, 20)]
    rows += [(3, 11, 5), (3, 50, 3), (7, 51, 1)]  # repeated, and not positive
    rows += [(4, f, 5) for f in range(10, 14)]  # four positives
    rows += [(5, f, 3) for f in range(10, 18)]
    path = tmp_path / "raw" / "ml-1m" / "ratings.dat"
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"{u}::{f}::{r}::97{u}\n" for u, f, r in rows))
    return path


def test_users_with_five_ratings_from_4_on(films):
    splits = build_movielens({"ratings.dat": films}, 0, format="movielens")
    assert splits.user_ids.tolist() == [3, 7, 9]
    assert splits.item_ids.tolist() == list(range(10, 20))
    sizes = {name: pairs.shape[1] for name, pairs in splits.pairs.items()}
    assert sizes == {"train": 24, "valid": 3, "test": 3}
    assert splits.duplicates == {"ratings.dat": 1}
    assert set(splits.pairs["train"][0]) == {0, 1, 2}


def test_movielens_is_split_by_name_and_seed(films, tmp_path):
    def made(seed):
        out = tmp_path / f"out-{seed}"
        make_split("ml-1m", out, raw=films.parents[1], split=SplitOptions(seed=seed))
        return (out / "test.txt").read_text()

    assert made(0) != made(1)
    with pytest.raises(ConfigError, match="its only option is seed"):
        make_split(
            *("ml-1m", tmp_path / "x"),
            raw=films.parents[1],
            split=SplitOptions("leave-last"),
        )
