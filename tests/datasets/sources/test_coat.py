import numpy as np
import pytest

from pyg_advinfonce.datasets.make_split import make_split
from pyg_advinfonce.datasets.sources.coat import build_coat
from pyg_advinfonce.datasets.split_files import parse_files, read_files
from pyg_advinfonce.errors import DataError


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
    counts = dict(folder.record["counts"])
    valid = counts.pop("valid")
    assert counts == {"users": 290, "items": 295, "train": 1916 - valid, "test": 860}
    assert valid == pytest.approx(553, abs=25)
    found = parse_files(read_files(out))
    assert np.array_equal(found.pairs["test"], published.pairs["test"])
