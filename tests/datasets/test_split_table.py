import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyg_advinfonce.datasets.data_warning import DataWarning
from pyg_advinfonce.datasets.load import load_dataset
from pyg_advinfonce.datasets.make_split import make_split
from pyg_advinfonce.datasets.split_table import read_split_tables, split_table
from pyg_advinfonce.datasets.splits.split_options import SplitOptions
from pyg_advinfonce.datasets.tables.columns import TableOptions
from pyg_advinfonce.errors import ConfigError, DataError
from pyg_advinfonce.graph import split_edges, split_names

RANDOM = SplitOptions(valid_fraction=0.2, test_fraction=0.2)


def raw_pairs(splits):
    """Return the pairs of raw ids by split."""
    return {
        name: {(str(splits.user_ids[u]), str(splits.item_ids[i])) for u, i in pairs.T}
        for name, pairs in splits.pairs.items()
    }


def write(folder, rows, name="table.csv", columns=("user", "item", "rating")):
    path = folder / name
    pd.DataFrame(rows, columns=list(columns)).to_csv(path, index=False)
    return path


BLOCK = [(f"u{u}", 10 * i, (u + i) % 5 + 1) for u in range(6) for i in range(5)]


def test_rows_follow_the_sorted_ids_of_positive_pairs(tmp_path):
    rows = [*BLOCK, ("u9", 7, 1)]
    path = write(tmp_path, rows[::-1])
    splits = split_table(path, TableOptions(positive_if="rating >= 2"), RANDOM)
    assert splits.user_ids == [f"u{u}" for u in range(6)]
    assert splits.item_ids.tolist() == [0, 10, 20, 30, 40]
    found = set.union(*raw_pairs(splits).values())
    assert found == {(u, str(i)) for u, i, rating in BLOCK if rating >= 2}


def test_repeated_rows_are_merged_and_counted(tmp_path):
    columns = ("user", "item", "x")
    one = split_table(write(tmp_path, BLOCK, columns=columns), TableOptions(), RANDOM)
    path = write(tmp_path, BLOCK + BLOCK[:7], columns=columns)
    other = split_table(path, TableOptions(), RANDOM)
    assert raw_pairs(one) == raw_pairs(other)
    assert other.duplicates == {"table": 7}


def test_no_positive_row_is_an_error(tmp_path):
    with pytest.raises(
        DataError,
        match=r"rating > 9, but none of 30 is so: 'rating' lies between 1 and 5;",
    ):
        split_table(
            write(tmp_path, BLOCK), TableOptions(positive_if="rating > 9"), RANDOM
        )


def test_a_time_that_is_not_used_is_an_error(tmp_path):
    with pytest.raises(
        ConfigError, match="time_col has no effect on the split 'random'"
    ):
        split_table(write(tmp_path, BLOCK), TableOptions(time_col="rating"), RANDOM)


def test_users_that_come_too_late_are_left_out(tmp_path):
    rows = [(u, i, 10 * u + i) for u in range(4) for i in range(4)]
    rows += [(0, 9, 90), (8, 1, 91), (8, 2, 92), (1, 9, 93), (9, 1, 94), (9, 2, 95)]
    path = write(tmp_path, rows, columns=("user", "item", "time"))
    with pytest.warns(DataWarning) as caught:
        splits = split_table(path, TableOptions(), SplitOptions("time", 0.14, 0.14))
    assert [str(w.message) for w in caught] == [
        "1 users of valid have no train pair: their 2 pairs are left out",
        "1 users of test have no train pair: their 2 pairs are left out",
    ]
    assert splits.user_ids.tolist() == [0, 1, 2, 3]


ids = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=4)
pair_lists = st.lists(
    st.tuples(
        ids.map("x{}".format) | st.integers(0, 99).map(str),
        st.integers(0, 9).map(str),
    ),
    min_size=6,
    max_size=30,
)


@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(pair_lists, st.randoms())
def test_from_a_table_over_the_folder_to_the_graph_pairs_are_kept(
    tmp_path, pairs, chance
):
    path = write(tmp_path, pairs, columns=("user", "item"))
    out = tmp_path / "out"
    try:
        folder = make_split(str(path), out, split=RANDOM, overwrite=True)
    except ConfigError:  # a split would be empty
        return
    graph = load_dataset(str(folder.path), cache_dir=tmp_path / "cache").graph
    names = ["train", *split_names(graph)]
    users, items = graph["user"].raw_id, graph["item"].raw_id
    found = [
        (
            str(int(users[u]) if not isinstance(users, list) else users[u]),
            str(int(items[i])),
        )
        for name in names
        for u, i in split_edges(graph, name).T.tolist()
    ]
    assert sorted(found) == sorted(set(pairs))
    write(tmp_path, chance.sample(pairs, len(pairs)), columns=("user", "item"))
    again = split_table(path, TableOptions(), RANDOM)
    for name in names:
        assert np.array_equal(again.pairs[name], split_edges(graph, name).numpy())


def test_tables_that_are_splits_share_their_rows(tmp_path):
    files = {
        "train": write(
            tmp_path, [(1, 5), (2, 7), (2, 5)], "train.csv", ("user", "item")
        ),
        "valid": write(tmp_path, [(2, 9)], "valid.csv", ("user", "item")),
        "test": write(tmp_path, [(1, 7), (3, 5)], "test.csv", ("user", "item")),
    }
    with pytest.warns(DataWarning, match="1 users of test have no train pair"):
        splits = read_split_tables(files, TableOptions())
    assert splits.item_ids.tolist() == [5, 7, 9]
    assert raw_pairs(splits) == {
        "train": {("1", "5"), ("2", "7"), ("2", "5")},
        "valid": {("2", "9")},
        "test": {("1", "7")},
    }


def test_a_wrong_id_is_found_in_the_table_that_has_it(tmp_path):
    files = {
        "train": write(tmp_path, [(1, 5), (2, 7)], "train.csv", ("user", "item")),
        "test": write(tmp_path, [(1, 7), (-3, 5)], "test.csv", ("user", "item")),
    }
    with pytest.raises(
        DataError, match=r"test\.csv:3:1: expected an integer id .*'-3'"
    ):
        read_split_tables(files, TableOptions())
