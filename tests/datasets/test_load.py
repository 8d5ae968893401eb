import pytest

from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import (
    Dataset,
    InteractionDataset,
    load_dataset,
    make_split,
    profile,
)
from pyg_advinfonce.datasets.simulated import Simulated
from pyg_advinfonce.datasets.splits import SplitOptions
from pyg_advinfonce.datasets.tables import TableOptions
from pyg_advinfonce.errors import (
    ConfigError,
    DataError,
    DatasetNotFoundError,
    DataWarning,
    UnknownNameError,
)
from pyg_advinfonce.graph import split_edges, split_names


def test_a_simulation_with_options():
    dataset: Dataset = load_dataset("simulated", popularity_bias=0.5, seed=3)
    assert isinstance(dataset, Simulated)
    assert (dataset.size, dataset.popularity_bias, dataset.seed) == ("coat", 0.5, 3)
    assert dataset.fingerprint.startswith("simulated:coat: 290 users")
    assert load_dataset("simulated:yahoo").size == "yahoo"


@pytest.mark.parametrize("data", ["simulated:", "simulated:coats", "simulated:x:y"])
def test_an_unknown_size(data):
    with pytest.raises(UnknownNameError, match="unknown size"):
        load_dataset(data)


def test_a_folder_under_the_root_by_its_name(toy):
    dataset = load_dataset("toy", root=toy)
    assert isinstance(dataset, InteractionDataset)
    assert dataset.fingerprint.startswith("toy: 3 users")


def test_the_root_is_that_of_the_variable(toy, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADVNCE_DATA", str(toy))
    assert load_dataset("toy").name == "toy"
    assert profile("toy")["folder"] == str(toy / "toy")
    assert Config.resolve("mf", data="toy").load_dataset().fingerprint[:4] == "toy:"
    with pytest.raises(UnknownNameError):  # an argument wins
        load_dataset("toy", root=tmp_path)
    with pytest.raises(DatasetNotFoundError, match=f"{toy}/coat"):
        load_dataset("coat")
    monkeypatch.setenv("ADVNCE_DATA", "")
    with pytest.raises(DatasetNotFoundError, match=r"not found in data/coat/raw"):
        load_dataset("coat")


def test_a_raw_folder_under_the_root(make_folder, tmp_path):
    make_folder("root/own/raw", train="0 1\n1 0", valid="0 0", test="1 1")
    assert load_dataset("own", root=tmp_path / "root").name == "own"


def test_a_folder_by_its_path(toy, monkeypatch, tmp_path):
    expected = load_dataset("toy", root=toy).fingerprint
    assert load_dataset(str(toy / "toy"), root=tmp_path).fingerprint == expected
    monkeypatch.chdir(toy)
    assert load_dataset("toy", root=tmp_path).fingerprint == expected
    assert load_dataset("./toy/", root=tmp_path).fingerprint == expected
    (toy / "other").mkdir()
    monkeypatch.chdir(toy / "other")
    assert load_dataset("../toy", root=tmp_path).fingerprint == expected
    monkeypatch.chdir(toy / "toy")
    assert load_dataset(".", root=tmp_path).fingerprint == expected


def test_a_path_is_never_joined_under_the_root(toy, monkeypatch, tmp_path):
    inner = toy / "inner"
    inner.mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetNotFoundError, match=r"^\.\./toy: no such folder"):
        load_dataset("../toy", root=inner)


def test_a_published_name_is_checked_a_path_is_not(make_folder, tmp_path):
    folder = make_folder("root/coat", train="0 1\n1 0", valid="0 0", test="1 1")
    assert load_dataset(str(folder)).fingerprint.startswith("coat: 2 users")
    with pytest.raises(ValueError, match="expected the published file"):
        load_dataset("coat", root=tmp_path / "root")


def test_a_published_name_whose_files_are_missing(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="'yahoo'"):
        load_dataset("yahoo", root=tmp_path)


@pytest.mark.parametrize("data", ["coatt", "", "a" * 300, "a\0b"])
def test_anything_else_lists_what_there_is(data, tmp_path, monkeypatch):
    here = tmp_path / "some" / "where"  # what lies above it is known
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    with pytest.raises(UnknownNameError) as error:
        load_dataset(data, root=tmp_path)
    message = str(error.value)
    assert "kuairec" in message
    assert "the path of a folder" in message
    assert ("did you mean 'coat'" in message) == (data == "coatt")


@pytest.mark.parametrize("data", ["../../x", "/no/dir", "no/table.x"])
def test_a_path_that_leads_nowhere(data, tmp_path, monkeypatch):
    here = tmp_path / "some" / "where"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    with pytest.raises(DatasetNotFoundError, match=f"^{data}: no such folder or table"):
        load_dataset(data, root=tmp_path)


def test_a_file_is_not_a_folder(toy):
    with pytest.raises(ConfigError, match=r"train\.txt is a file: expected .* folder"):
        load_dataset(str(toy / "toy" / "train.txt"))


@pytest.mark.parametrize("data", ["simulated", "toy", "coat"])
def test_an_unknown_option_is_named_with_the_valid_ones(data, toy):
    with pytest.raises(ConfigError, match=r"'data.sed', did you mean 'data.seed'"):
        load_dataset(data, root=toy, sed=1)


def test_what_the_caller_decides_is_no_option(toy):
    with pytest.raises(ConfigError, match=r"'data\.name'"):
        load_dataset("toy", root=toy, name="other")


def test_valid_fraction_reaches_the_folder(toy):
    (toy / "toy" / "valid.txt").unlink()
    dataset = load_dataset("toy", root=toy, valid_fraction=0.4, seed=2)
    assert dataset.summary()["pairs"]["valid"] == 2


def test_valid_fraction_is_not_silently_ignored():
    with pytest.warns(DataWarning, match="valid_fraction is ignored"):
        load_dataset("simulated", valid_fraction=0.1)


TRIPLES = [
    (u, 10 + (u * 3 + i) % 9, 1 + (u + i) % 5) for u in range(6) for i in range(6)
]
DATA_WARNINGS = pytest.mark.filterwarnings("ignore::pyg_advinfonce.errors.DataWarning")


def names_of(ids):
    return [str(x) for x in (ids if isinstance(ids, list) else ids.tolist())]


def found_pairs(dataset, *splits):
    """Return the pairs of all splits, or of some, by their own ids."""
    graph = dataset.graph
    users, items = (names_of(graph[node].raw_id) for node in ("user", "item"))
    return {
        (users[u], items[i])
        for name in splits or ("train", *split_names(graph))
        for u, i in split_edges(graph, name).T.tolist()
    }


def text_of(rows, sep=" "):
    return "".join(sep.join(map(str, row)) + "\n" for row in rows)


@pytest.mark.parametrize("rating", ["{}", "{}.0"])
@pytest.mark.parametrize("time", [[], [1_700_000_000]])
@pytest.mark.parametrize("user", ["{}", "u{}"])
def test_triples_are_not_read_as_lists(make_folder, rating, time, user):
    rows = [(user.format(u), i, rating.format(r), *time) for u, i, r in TRIPLES]
    root = make_folder(train=text_of(rows), test=text_of(rows[:3])).parent
    with pytest.raises(DataError, match=r"train\.txt:1: .*--format triples") as error:
        load_dataset("toy", root=root, valid_fraction=0.1)
    assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="--format triples"):
        profile("toy", root)


@DATA_WARNINGS
def test_triples_by_name(make_folder, tmp_path):
    train, valid, test = TRIPLES[::2], TRIPLES[1::4], TRIPLES[3::4]
    parts = {"train": train, "valid": valid, "test": test}
    folder = make_folder(**{name: text_of(rows) for name, rows in parts.items()})
    for source in (
        folder,
        make_folder(
            "other",
            **{
                name: text_of([(u, i, f"{r}.0", 9) for u, i, r in rows], sep="\t")
                for name, rows in parts.items()
            },
        ),
    ):
        dataset = load_dataset(str(source), format="triples")
        for name, rows in parts.items():
            assert found_pairs(dataset, name) == {(str(u), str(i)) for u, i, _ in rows}
        liked = load_dataset(str(source), format="triples", positive_if="rating >= 4")
        expected = {(str(u), str(i)) for u, i, rating in TRIPLES if rating >= 4}
        assert found_pairs(liked) == expected
    options = TableOptions(format="triples", positive_if="rating >= 4")
    split = make_split(str(folder), tmp_path / "out", table=options)
    assert found_pairs(load_dataset(str(split.path))) == expected


def test_triples_may_lack_valid_and_have_ids_of_any_kind(make_folder):
    rows = [(f"u{u}", f"i{i}", r) for u, i, r in TRIPLES]
    root = make_folder(train=text_of(rows), test="u1 i17 4\n").parent
    options = {"root": root, "format": "triples", "positive_if": "rating > 0"}
    with pytest.raises(ConfigError, match=r"no valid\.txt"):
        load_dataset("toy", **options)
    with pytest.warns(DataWarning, match="1 pair of train is also in test"):
        dataset = load_dataset("toy", valid_fraction=0.2, **options)
    assert found_pairs(dataset) == {row[:2] for row in rows}


def test_lists_of_two_that_are_meant(make_folder):
    folder = make_folder(train="0 1 2\n0 3 4\n1 1 2\n", valid="1 3", test="0 0")
    with pytest.raises(DataError, match="--format lists"):
        load_dataset(str(folder))
    graph = load_dataset(str(folder), format="lists").graph
    assert split_edges(graph, "train").size(1) == 6
    assert profile(str(folder), format="lists")["splits"]["train"]["pairs"] == 6


def test_pairs_and_users_with_a_line_each_are_lists(make_folder):
    folder = make_folder(train="0 1\n0 2\n1 0\n", valid="1 1", test="0 0")
    assert split_edges(load_dataset(str(folder)).graph, "train").size(1) == 3
    folder = make_folder(train="0 1 2\n1 2 0\n", valid="1 1", test="0 0")
    assert split_edges(load_dataset(str(folder)).graph, "train").size(1) == 4


def test_an_unknown_format_and_options_without_effect(toy):
    with pytest.raises(UnknownNameError, match="did you mean 'triples'"):
        load_dataset("toy", root=toy, format="triple")
    with pytest.raises(ConfigError, match="positive_if has no effect"):
        load_dataset("toy", root=toy, positive_if="rating > 3")


LIGHTGCN_USERS = "org_id remap_id\nA2E 0\nA1F 1\n"


@pytest.mark.parametrize(
    "items",
    [
        "org_id remap_id\n0553 0\n0201 1\n0815 2\n",
        "org_id remap_id\r\n0815 2\r\n0553 0\r\n0201 1\r\n",
        "org_id\tremap_id\tfreebase_id\n0553\t0\tm.01\n0201\t1\tm.02\n0815\t2\tm.03\n",
    ],
)
def test_the_lists_of_ids_of_lightgcn_are_raw_ids(make_folder, items):
    folder = make_folder(
        train="0 0 1\n1 2\n",
        test="0 2\n1 0\n",
        valid="1 1",
        user_list=LIGHTGCN_USERS,
        item_list=items,
    )
    graph = load_dataset(str(folder)).graph
    assert graph["user"].raw_id == ["A2E", "A1F"]
    assert graph["item"].raw_id == ["0553", "0201", "0815"]


@pytest.mark.parametrize(
    ("users", "said"),
    [
        ("org_id remap_id\nA 0\nB 0\n", r"user_list\.txt:3: .* twice"),
        ("org_id remap_id\nA 0\nB 2\n", r"user_list\.txt.*: expected the ids 0 to 1"),
        ("org_id remap_id\nA x\n", r"user_list\.txt:2"),
        ("who what\nA 0\n", r"user_list\.txt:1: expected .*org_id"),
        ("org_id remap_id\nA 0\n", r"train\.txt:2:1: .* below 1"),
    ],
)
def test_lists_of_ids_that_are_wrong(make_folder, users, said):
    folder = make_folder(train="0 0\n1 0\n", test="0 1", valid="0 2", user_list=users)
    with pytest.raises(DataError, match=said):
        load_dataset(str(folder))


RATINGS = [
    (f"A{u}HT", f"0{20 + i}", (u + i) % 5 + 1.0, 1_369_699_200 + 7 * u + i)
    for u in range(6)
    for i in range(6)
]


@DATA_WARNINGS
@pytest.mark.parametrize(
    ("name", "sep", "columns"),
    [
        ("ratings.csv", ",", "user,item,rating,time"),
        ("u.data", "\t", "user,item,rating,time"),
        ("ratings.dat", "::", "user, item, rating, time"),
        ("ratings.csv", "::", "user,item,,"),
        ("checkins.txt", " ", ["user", "item", "rating", "time"]),
    ],
)
@pytest.mark.parametrize("split", ["random", "leave-last"])
def test_files_without_a_header_by_their_columns(tmp_path, name, sep, columns, split):
    path = tmp_path / name
    path.write_text(text_of(RATINGS, sep))
    if split == "leave-last" and "time" not in columns:
        columns = "user,item,,timestamp"
    if path.suffix != ".txt":
        dataset = load_dataset(str(path), columns=columns, split=split)
        assert found_pairs(dataset) == {row[:2] for row in RATINGS}
    table = TableOptions(columns=columns)
    made = make_split(
        str(path), tmp_path / "out", table=table, split=SplitOptions(split)
    )
    assert found_pairs(load_dataset(str(made.path))) == {row[:2] for row in RATINGS}


@DATA_WARNINGS
def test_movielens_by_its_name(tmp_path):
    path = tmp_path / "ratings.dat"
    path.write_text(text_of([(1, 2, 3.0, 4)], "::"))
    with pytest.raises(DataError, match=r"looks like data.*--format movielens"):
        load_dataset(str(path))
    path.write_text(text_of(RATINGS, "::"))
    dataset = load_dataset(str(path), format="movielens", positive_if="rating >= 4")
    assert found_pairs(dataset) == {row[:2] for row in RATINGS if row[2] >= 4}


@DATA_WARNINGS
@pytest.mark.parametrize("name", ["ml.inter", "ml.tsv"])
def test_typed_headers_of_recbole(tmp_path, name):
    path = tmp_path / name
    head = ("user_id:token", "item_id:token", "rating:float", "timestamp:float")
    path.write_text(text_of([head, *RATINGS], "\t"))
    dataset = load_dataset(str(path), split="leave-last", positive_if="rating >= 2")
    assert found_pairs(dataset) <= {row[:2] for row in RATINGS if row[2] >= 2}


@pytest.mark.parametrize("sep", [",", "\t", "::", " "])
def test_a_first_line_of_data_is_never_lost_silently(tmp_path, sep):
    path = tmp_path / "ratings.csv"
    path.write_text(text_of(RATINGS, sep))
    with pytest.raises(DataError, match=r":1: .*looks like data.*--columns user,item"):
        load_dataset(str(path))
    if sep != " ":
        with pytest.warns(DataWarning, match="looks like data.*--columns user,item"):
            load_dataset(str(path), user_col="A0HT", item_col="020")


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("user,item", r":1: expected 2 values, .*columns user,item.*, got 4"),
        ("user,item,rating,time,x", ":1: expected 5 values"),
        ("user,user,rating,time", "distinct column names"),
        ("", "columns must be"),
        (7, "data.columns.*: input should be a valid string"),
    ],
)
def test_columns_that_do_not_fit(tmp_path, columns, said):
    path = tmp_path / "ratings.csv"
    path.write_text(text_of(RATINGS, ","))
    with pytest.raises((DataError, ConfigError), match=said):
        load_dataset(str(path), columns=columns)


def test_columns_beside_a_header_are_an_error(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("user,item\n" + text_of([row[:2] for row in RATINGS], ","))
    with pytest.raises(DataError, match=r":1: .* a header.*remove --columns"):
        load_dataset(str(path), columns="user,item")
