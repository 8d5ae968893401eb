import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyg_advinfonce.datasets import Dataset, TableDataset, load_dataset, make_split
from pyg_advinfonce.datasets import table as table_dataset
from pyg_advinfonce.datasets.splits import TIMED, SplitOptions
from pyg_advinfonce.datasets.table import read_split_tables, split_table
from pyg_advinfonce.datasets.tables import TableOptions
from pyg_advinfonce.errors import ConfigError, DataError, DataWarning
from pyg_advinfonce.graph import check_graph, split_edges, split_names

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
        match=r"satisfies rating > 9 \(30 rows\): 'rating' lies between 1 and 5;",
    ):
        split_table(
            write(tmp_path, BLOCK), TableOptions(positive_if="rating > 9"), RANDOM
        )


def test_a_time_that_is_not_used_is_an_error(tmp_path):
    with pytest.raises(
        ConfigError, match="time_col has no effect on the split 'random'"
    ):
        split_table(write(tmp_path, BLOCK), TableOptions(time_col="rating"), RANDOM)


def test_a_split_by_time_of_new_users_alone_leads_to_others(tmp_path):
    rows = [(u, i, 10 * u + i) for u in range(4) for i in range(4)]
    path = write(tmp_path, rows, columns=("user", "item", "time"))
    advice = r"try --split temporal-user \(data\.split\) or leave-last"
    with pytest.raises(DataError, match=f"no user of valid has a train pair: {advice}"):
        split_table(path, TableOptions(), SplitOptions("time", 0.25, 0.25))


def test_users_that_come_too_late_are_left_out(tmp_path):
    rows = [(u, i, 10 * u + i) for u in range(4) for i in range(4)]
    rows += [(0, 9, 90), (8, 1, 91), (8, 2, 92), (1, 9, 93), (9, 1, 94), (9, 2, 95)]
    path = write(tmp_path, rows, columns=("user", "item", "time"))
    with pytest.warns(DataWarning) as caught:
        splits = split_table(path, TableOptions(), SplitOptions("time", 0.14, 0.14))
    assert [str(w.message) for w in caught] == [
        "1 user of valid has no train pair: its 2 pairs are dropped, and "
        "recommendations for this user are random",
        "1 item of valid has no train pair: its 1 pair stays, but training "
        "learns nothing about this item",
        "1 user of test has no train pair: its 2 pairs are dropped, and "
        "recommendations for this user are random",
        "1 item of test has no train pair: its 1 pair stays, but training "
        "learns nothing about this item",
    ]
    assert splits.rows == {
        "read": 22,
        "used": 18,
        "of users without train or in two splits": 4,
    }
    assert splits.user_ids.tolist() == [0, 1, 2, 3]


SPLITS = [
    RANDOM,
    SplitOptions("leave-last"),
    SplitOptions("time"),
    SplitOptions("temporal-user"),
    SplitOptions("random", test_fraction=0),
    SplitOptions("popularity-shift", gammas=(2,), num_groups=2),
    SplitOptions("popularity-shift", gammas=(2,), mode="notebook", num_groups=2),
]


@pytest.mark.filterwarnings("ignore::pyg_advinfonce.errors.DataWarning")
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", [lambda i: 100 - i, lambda i: f"film {i * 5 % 17}"])
def test_items_of_other_names_are_held_out_alike(tmp_path, split, name):
    rows = [(u, i, 7 + u // 2) for u in range(6) for i in range(2, 8) if (u + i) % 4]
    rows += [(u, i + u, 6 + i // 3) for u in range(3) for i in range(8, 12)]
    columns = ("user", "item", "timestamp")
    path = write(tmp_path, rows, columns=columns)
    expected = raw_pairs(split_table(path, TableOptions(), split))
    renamed = [(f"u{-u}", name(i), time) for u, i, time in rows]
    path = write(tmp_path, renamed, columns=columns)
    found = raw_pairs(split_table(path, TableOptions(), split))
    called = {(str(u), str(i)): (f"u{-u}", str(name(i))) for u, i, _ in rows}
    assert found == {n: {called[pair] for pair in p} for n, p in expected.items()}


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
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(pair_lists)
def test_from_a_table_over_the_folder_to_the_graph_pairs_are_kept(tmp_path, pairs):
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
    with pytest.warns(DataWarning, match="1 user of test has no train pair"):
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


ROWS = [(f"u{u}", i, u + i) for u in range(6) for i in range(6)]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "my table.csv"
    pd.DataFrame(ROWS, columns=["user", "item", "time"]).to_csv(path, index=False)
    return path


def test_a_path_of_a_table_is_a_data_set(path):
    dataset: Dataset = load_dataset(str(path), valid_fraction=0.2, seed=1)
    assert isinstance(dataset, TableDataset)
    check_graph(dataset.graph)
    assert split_names(dataset.graph) == ["valid", "test"]
    assert dataset.graph["user"].raw_id == [f"u{u}" for u in range(6)]
    assert dataset.graph["item"].raw_id.tolist() == list(range(6))
    assert dataset.graph["item"].raw_id.dtype == torch.int64
    assert dataset.fingerprint.startswith("my table.csv: 6 users, 6 items, train 25, ")
    assert dataset.summary()["pairs"] == {"train": 25, "valid": 7, "test": 4}


def test_options_choose_columns_and_split(path):
    dataset = load_dataset(
        str(path),
        user_col="item",
        item_col="user",
        positive_if="time > 2",
        split="time",
    )
    assert dataset.graph["item"].raw_id[0] == "u0"
    shift = load_dataset(
        str(path), split="popularity-shift", gammas=[4, 2], num_groups=2
    )
    assert split_names(shift.graph) == ["valid", "test_gamma_4", "test_gamma_2"]


def test_a_parquet_file_is_the_same_data(path, tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    pd.read_csv(path).to_parquet(tmp_path / "table.parquet")
    one, other = load_dataset(str(path)), load_dataset(str(tmp_path / "table.parquet"))
    assert one.fingerprint.split(",")[1:] == other.fingerprint.split(",")[1:]
    assert one.graph["user"].raw_id == other.graph["user"].raw_id


words = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=4)
LARGE = {"valid_fraction": 0.3, "test_fraction": 0.3}
ids_of_table_dataset = words.map("x{}".format) | st.integers(0, 10**12).map(str)


items = st.sets(st.integers(0, 9), min_size=6)  # large enough that no split is empty


@given(st.dictionaries(ids_of_table_dataset, items, min_size=2, max_size=5))
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@pytest.mark.filterwarnings("ignore::pyg_advinfonce.errors.DataWarning")
def test_text_parquet_and_the_graph_hold_the_same_pairs(tmp_path, liked):
    pairs = [(user, item) for user, items in liked.items() for item in items]
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    names = [tmp_path / f"pairs.{ending}" for ending in ("csv", "tsv", "parquet")]
    write_pairs(pairs, *names)
    graphs = [TableDataset(name, **LARGE).graph for name in names]
    assert all(is_same(graphs[0], other) for other in graphs[1:])
    found = pairs_of(graphs[0])
    assert sorted(found) == sorted((user, str(item)) for user, item in pairs)


def write_pairs(pairs, csv, tsv, parquet):
    table = pd.DataFrame(pairs, columns=["user", "item"])
    table.to_csv(csv, index=False)
    lines = ["user\titem", *(f"{user}\t{item}" for user, item in pairs)]
    tsv.write_text("\n".join(lines), encoding="utf-8", newline="\n")
    table.to_parquet(parquet)


def pairs_of(graph):
    """Return the pairs of all splits by raw id."""
    users, items = (
        raw if isinstance(raw, list) else list(map(str, raw.tolist()))
        for raw in (graph["user"].raw_id, graph["item"].raw_id)
    )
    return [
        (users[u], items[i])
        for name in ["train", *split_names(graph)]
        for u, i in split_edges(graph, name).T.tolist()
    ]


def is_same(one, other):
    names = ["train", *split_names(one)]
    return ["train", *split_names(other)] == names and all(
        torch.equal(split_edges(one, name), split_edges(other, name)) for name in names
    )


def test_it_is_cached_by_content_and_options(path, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    first = load_dataset(str(path), cache_dir=cache)
    with monkeypatch.context() as patch:
        patch.setattr(table_dataset, "split_table", None)
        again = load_dataset(str(path), cache_dir=cache)
    assert again.fingerprint == first.fingerprint
    assert again.graph["user"].raw_id == first.graph["user"].raw_id
    assert torch.equal(again.graph["item"].raw_id, first.graph["item"].raw_id)
    assert load_dataset(str(path), cache_dir=cache, seed=1).fingerprint != str(first)
    path.write_text(path.read_text() + "u7,1,1\nu7,2,2\n")
    assert load_dataset(str(path), cache_dir=cache).graph["user"].num_nodes == 7
    assert len(list(cache.iterdir())) == 3


def test_a_damaged_cache_is_rebuilt(path, tmp_path):
    cache = tmp_path / "cache"
    load_dataset(str(path), cache_dir=cache)
    next(cache.iterdir()).write_bytes(b"damaged")
    with pytest.warns(DataWarning, match="is damaged or outdated and is rebuilt"):
        load_dataset(str(path), cache_dir=cache)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"split": "tiem"}, "unknown split 'tiem', did you mean 'time'"),
        ({"user_cl": "a"}, r"'data\.user_cl', did you mean 'data\.user_col'"),
        ({"path": "b.csv"}, r"unknown key 'data\.path'"),
        ({"user_col": 3}, r"data\.user_col: input should be a valid string \(got 3\)"),
        ({"gammas": 3}, r"data\.gammas: input should be an instance of sequence"),
        ({"positive_if": "time"}, "positive_if must be a column"),
    ],
)
def test_a_wrong_option(path, options, said):
    with pytest.raises(ConfigError, match=said):
        load_dataset(str(path), **options)


def test_a_wrong_table(path):
    path.write_text("user,item\n1,\n")
    with pytest.raises(
        DataError,
        match=r"my table\.csv:2:2: expected an id, got '': drop such rows with "
        r"--drop-incomplete \(data\.drop_incomplete\)",
    ):
        load_dataset(str(path))


EVENTS = [
    (f"u{u}", i, ("view", "transaction", 'say "hi"')[(u + i) % 3], u * 9 + i)
    for u in range(6)
    for i in range(9)
]
EVENT_COLUMNS = ("visitorid", "itemid", "event", "time")
FEW = {"valid_fraction": 0.2, "test_fraction": 0.2}


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet", "frame"])
@pytest.mark.parametrize("sign", ["==", "!="])
def test_conditions_on_text_in_every_kind_of_table(tmp_path, ending, sign):
    frame = pd.DataFrame(EVENTS, columns=list(EVENT_COLUMNS))
    path = tmp_path / f"events.{ending}"
    if ending == "csv":
        frame.to_csv(path, index=False)
    elif ending == "tsv":
        lines = ["\t".join(map(str, row)) for row in (EVENT_COLUMNS, *EVENTS)]
        path.write_text("\n".join(lines))
    elif ending == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    elif ending == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        frame.to_parquet(path)
    condition = f'event {sign} "transaction" and time >= 2'
    source = frame if ending == "frame" else str(path)
    found = pairs_of(load_dataset(source, positive_if=condition, **FEW).graph)
    expected = {
        (user, str(item))
        for user, item, event, time in EVENTS
        if (event == "transaction") == (sign == "==") and time >= 2
    }
    assert set(found) == expected


def test_a_frame_is_the_table_that_it_writes(tmp_path):
    frame = pd.DataFrame(BLOCK, columns=["who", "what", "x"], index=[7] * len(BLOCK))
    frame.to_csv(tmp_path / "table.csv", index=False)
    columns = {"user_col": "who", "item_col": "what"}
    one = load_dataset(frame, split="time", time_col="x", **columns, **FEW)
    path = str(tmp_path / "table.csv")
    other = load_dataset(path, split="time", time_col="x", **columns, **FEW)
    assert one.fingerprint.split(":")[1] == other.fingerprint.split(":")[1]
    assert one.label == "DataFrame"
    assert frame.index.tolist() == [7] * len(BLOCK)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ({"user": [], "item": []}, "expected rows"),
        ({"user": ["a"], "item": [[1, 2]]}, "one value per row"),
        ({"user": ["a", None], "item": [1, 2]}, "DataFrame:2:1: expected an id"),
        ({"a": ["a"], "item": [1]}, "expected one user column"),
    ],
)
def test_a_wrong_frame_is_one_line(frame, said):
    with pytest.raises(DataError, match=said):
        load_dataset(pd.DataFrame(frame))


MISSING = [
    *[(f"u{u}", i, 4, 100 * u + i) for u in range(6) for i in range(6)],
    *[("u1", 7, 4, "None"), ("", 8, 4, 5), ("u2", "NA", "", 9), ("u3", "", 4, 9)],
]


@pytest.mark.filterwarnings("ignore::pyg_advinfonce.errors.DataWarning")
@pytest.mark.parametrize("first", [False, True])
def test_incomplete_rows_are_dropped_on_demand_and_counted(tmp_path, first):
    rows = MISSING[::-1] if first else MISSING
    columns = ("user", "item", "rating", "time")
    path = write(tmp_path, rows, columns=columns)
    split = SplitOptions("leave-last")
    condition = {"positive_if": "rating > 0"}
    with pytest.raises(DataError):
        split_table(path, TableOptions(**condition), split)
    table = TableOptions(**condition, drop_incomplete=True)
    splits = split_table(path, table, split)
    assert splits.rows == {"read": 40, "used": 36, "incomplete": 4}
    frame = pd.DataFrame(rows, columns=list(columns)).replace({"": None, "None": None})
    again = split_table(frame, table, split)
    assert again.rows == splits.rows
    assert raw_pairs(again) == raw_pairs(splits)


def test_rare_users_and_items_are_removed_until_none_is_left(tmp_path):
    rows = [(f"u{u}", f"i{i}", 1) for u in range(6) for i in range(6)]
    chain = [("v0", "i0", 1), ("v0", "j0", 1), ("v0", "j1", 1), ("v1", "j1", 1)]
    path = write(tmp_path, rows + chain, columns=("user", "item", "x"))
    splits = split_table(path, TableOptions(min_user=3, min_item=2), RANDOM)
    assert set.union(*raw_pairs(splits).values()) == {row[:2] for row in rows}
    assert splits.rows == {"read": 40, "used": 36, "of rare users or items": 4}
    with pytest.raises(ConfigError, match="smaller --min-user"):
        split_table(path, TableOptions(min_user=9), RANDOM)
    with pytest.raises(ConfigError, match="min_item must be a positive integer"):
        TableOptions(min_item=0)


USERS, ITEMS = ["a", "b", "c", '"d'], ["1", "2", "3", '4"', "5", "6", "7", "8"]
table_rows = st.lists(
    st.tuples(  # few values are missing, so that many tables can be split
        st.sampled_from([*USERS * 6, ""]),
        st.sampled_from([*ITEMS * 3, "nan"]),
        st.sampled_from(["5", "4", "3.5", "3", "3", "5", "1", ""]),
        st.sampled_from([*"123456789" * 3, ""]),
    ),
    min_size=25,
    max_size=60,
)
SMALL_CORES = st.tuples(st.integers(1, 3), st.integers(1, 2))


def split_rows(folder, rows, split, *, positive_if, cores):
    """Split rows of user, item, rating and time; None if a split would be empty."""
    path = folder / "table.tsv"
    lines = ["user\titem\trating\ttime", *("\t".join(row) for row in rows)]
    path.write_text("\n".join(lines))
    min_user, min_item = cores
    table = TableOptions(
        positive_if=positive_if,
        drop_incomplete=True,
        min_user=min_user,
        min_item=min_item,
    )
    try:
        return split_table(path, table, split)
    except (ConfigError, DataError):
        return None


def core_of(pairs, min_user, min_item):
    """Remove rare users and items one round after another, naively."""
    while True:
        kept = {
            (u, i)
            for u, i in pairs
            if sum(u == v for v, _ in pairs) >= min_user
            and sum(i == j for _, j in pairs) >= min_item
        }
        if kept == pairs:
            return kept
        pairs = kept


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=table_rows, cores=SMALL_CORES)
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.filterwarnings("ignore::pyg_advinfonce.errors.DataWarning")
def test_rows_in_are_rows_used_and_rows_reported(tmp_path, split, rows, cores):
    found = split_rows(tmp_path, rows, split, positive_if="rating >= 3", cores=cores)
    if found is None:
        return
    columns = slice(0, 4 if split.split in TIMED else 3)  # those that are read
    whole = [r for r in rows if not {"", "nan"} & set(r[columns])]
    positive = [row[:2] for row in whole if float(row[2]) >= 3]
    core = core_of(set(positive), *cores)
    used = sum(pairs.shape[1] for pairs in found.pairs.values())
    expected = {
        "read": len(rows),
        "used": used,
        "incomplete": len(rows) - len(whole),
        "not positive": len(whole) - len(positive),
        "repeated": len(positive) - len(set(positive)),
        "of rare users or items": len(set(positive)) - len(core),
        "of users without train or in two splits": len(core) - used,
    }
    assert found.rows == {n: c for n, c in expected.items() if c or n == "used"}
    kept = raw_pairs(found)
    assert set.union(*kept.values()) <= core
    with_train = {user for user, _ in kept["train"]}
    left = core - set.union(*kept.values())
    assert not {user for user, _ in left} & with_train


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=table_rows,
    cores=SMALL_CORES,
    users=st.permutations(USERS),
    items=st.permutations(ITEMS),
)
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.filterwarnings("ignore::pyg_advinfonce.errors.DataWarning")
def test_other_ids_are_split_alike(tmp_path, split, rows, cores, users, items):
    user = dict(zip(USERS, users, strict=True))
    item = dict(zip(ITEMS, items, strict=True))
    options = {"positive_if": "rating >= 3", "cores": cores}
    found = split_rows(tmp_path, rows, split, **options)
    other = [(user.get(u, u), item.get(i, i), *rest) for u, i, *rest in rows]
    renamed = split_rows(tmp_path, other, split, **options)
    assert (found is None) == (renamed is None)
    if found is None:
        return
    assert found.rows == renamed.rows
    assert raw_pairs(renamed) == {
        name: {(user[u], item[i]) for u, i in pairs}
        for name, pairs in raw_pairs(found).items()
    }
