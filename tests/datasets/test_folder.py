import hashlib
import os
import re
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch_geometric.data import HeteroData, InMemoryDataset

from pyg_advinfonce.datasets import InteractionDataset, load_dataset, make_split
from pyg_advinfonce.errors import (
    ConfigError,
    DataError,
    DatasetNotFoundError,
    DataWarning,
)
from pyg_advinfonce.graph import check_graph, num_nodes, split_edges, split_names


def pairs(dataset, split):
    return split_edges(dataset.graph, split).T.tolist()


def test_it_is_a_pyg_data_set_of_one_graph(toy):
    dataset = InteractionDataset(toy, name="toy")
    assert isinstance(dataset, InMemoryDataset)
    assert len(dataset) == 1
    assert isinstance(dataset[0], HeteroData)
    check_graph(dataset.graph)
    assert pairs(dataset, "train") == [[0, 0], [0, 1], [1, 1], [1, 2], [2, 3]]
    assert split_names(dataset.graph) == ["valid", "test"]
    assert pairs(dataset, "test") == [[0, 3], [2, 0]]


def test_the_fingerprint_is_one_line_of_counts_and_a_hash(toy, make_folder):
    line = InteractionDataset(toy, name="toy").fingerprint
    assert re.fullmatch(
        r"toy: 3 users, 4 items, train 5, valid 2, test 2, sha256 [0-9a-f]{12}", line
    )
    make_folder(train="1 2 1\r\n0 1 0\r\n2 3")
    assert InteractionDataset(toy, name="toy").fingerprint == line
    make_folder(train="0 0 1\n1 1 2\n2 2\n")
    assert InteractionDataset(toy, name="toy").fingerprint != line


def test_the_summary_counts_what_is_odd(make_folder):
    root = make_folder(
        train="0 0 1 2\n1 1 1\n", valid="1 2\n2 0\n", test="1 1 2\n2 0\n"
    ).parent
    with pytest.warns(DataWarning) as caught:
        dataset = InteractionDataset(root, name="toy")
    dropped = "pair is dropped, and recommendations for this user are random"
    assert [str(w.message) for w in caught] == [
        f"1 user of valid has no train pair: its 1 {dropped}",
        f"1 user of test has no train pair: its 1 {dropped}",
        "toy: 1 pair of train is also in test",
        "toy: 1 pair of valid is also in test",
    ]
    assert dataset.summary() == {
        "users": 3,
        "items": 3,
        "candidate_items": 3,
        "pairs": {"train": 4, "valid": 1, "test": 2},
        "seen": 1,
        "users_without_train": 1,
        "items_without_train": 0,
        "users_with_all_items": 1,
        "overlaps": {"train/valid": 0, "train/test": 1, "valid/test": 1},
        "duplicates_merged": {"train": 1, "valid": 0, "test": 0},
    }


def test_a_raw_folder_goes_first(toy, make_folder):
    make_folder("root/toy/raw", train="0 1\n1 0", valid="0 2", test="0 3")
    assert pairs(InteractionDataset(toy, name="toy"), "train") == [[0, 1], [1, 0]]


def test_candidates_reach_the_graph(toy, make_folder):
    make_folder(not_candidate="1")
    graph = InteractionDataset(toy, name="toy").graph
    assert graph["item"].candidate_mask.tolist() == [True, False, True, True]


def test_valid_is_split_off_only_on_demand(toy):
    (toy / "toy" / "valid.txt").unlink()
    with pytest.raises(ConfigError, match=r"no valid\.txt: .* --valid-fraction 0\.1"):
        InteractionDataset(toy, name="toy")
    dataset = InteractionDataset(toy, name="toy", valid_fraction=0.4)
    assert split_names(dataset.graph) == ["valid", "test"]
    assert len(pairs(dataset, "valid")) == 2
    assert len(pairs(dataset, "train")) == 3
    assert {user for user, _ in pairs(dataset, "train")} == {0, 1, 2}


def test_a_fraction_beside_a_valid_file_is_not_silently_ignored(toy):
    with pytest.warns(
        DataWarning, match=r"valid\.txt exists: valid_fraction is ignored"
    ):
        dataset = InteractionDataset(toy, name="toy", valid_fraction=0.4)
    assert len(pairs(dataset, "valid")) == 2


def test_what_is_missing_is_named_in_one_line(toy, tmp_path):
    with pytest.raises(DatasetNotFoundError) as error:
        InteractionDataset(tmp_path, name="absent")
    assert str(error.value) == (
        f"data set 'absent' needs train.txt, not found in {tmp_path}/absent/raw, "
        f"{tmp_path}/absent: put the split files there (one user per line: user item "
        "item ...), or set another root with --data-root"
    )
    (toy / "toy" / "train.txt").unlink()
    with pytest.raises(DatasetNotFoundError, match=r"needs train\.txt, .*toy/toy:|toy"):
        InteractionDataset(toy, name="toy")


def test_a_folder_may_lack_a_test(toy):
    (toy / "toy" / "test.txt").unlink()
    assert split_names(InteractionDataset(toy, name="toy").graph) == ["valid"]
    (toy / "toy" / "valid.txt").unlink()
    with pytest.raises(ConfigError, match=r"has no valid\.txt"):
        InteractionDataset(toy, name="toy")
    divided = InteractionDataset(toy, name="toy", valid_fraction=0.4)
    assert split_names(divided.graph) == ["valid"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "../toy", "toy/", "/"])
def test_a_name_is_no_path(toy, name):
    with pytest.raises((ConfigError, DataError)):
        InteractionDataset(toy, name=name)


def test_nothing_is_written_under_the_root(toy, user_cache):
    def listing():
        return {
            path: hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else 0
            for path in toy.rglob("*")
        }

    before = listing()
    InteractionDataset(toy, name="toy")
    assert listing() == before
    assert len(list(user_cache.iterdir())) == 1


def test_paths_with_blanks_and_unicode(make_folder):
    root = make_folder("a b/naïve ☃", train="0 1\n1 0", valid="0 0", test="1 1").parent
    dataset = InteractionDataset(root, name="naïve ☃")
    assert dataset.fingerprint.startswith("naïve ☃: 2 users, 2 items, ")


def test_the_valid_pairs_split_off_do_not_follow_the_numbers_of_ids(make_folder):
    lines = [[u, *((3 * i + u) % 20 for i in range(8))] for u in range(6)]
    renamed = [[5 - user, *(19 - i for i in items)] for user, *items in lines]
    found = []
    for name, rows, test in (
        ("root/one", lines, "0 10"),
        ("root/other", renamed, "5 9"),
    ):
        text = "\n".join(" ".join(map(str, row)) for row in rows)
        root = make_folder(name, train=text, test=test).parent
        name = name.removeprefix("root/")
        dataset = InteractionDataset(root, name=name, valid_fraction=0.3)
        found.append(pairs(dataset, "valid"))
    one, other = found
    assert sorted([5 - user, 19 - item] for user, item in other) == one


COLD = {"train": "0 0 1\n1 1 2\n", "valid": "0 2\n1 0\n"}


def test_users_that_nobody_trained_are_left_out_at_every_load(make_folder, tmp_path):
    root = make_folder(**COLD, test="0 3\n1 3\n2 1 2\n3 0\n").parent
    for _ in range(2):  # built, then from the cache
        with pytest.warns(DataWarning) as caught:
            dataset = InteractionDataset(root, name="toy", cache_dir=tmp_path)
        said = [str(w.message) for w in caught]
        assert said[0].startswith("2 users of test have no train pair: their 3 pairs")
        assert said[1].startswith("1 item of test has no train pair: its 2 pairs")
        assert pairs(dataset, "test") == [[0, 3], [1, 3]]
        assert num_nodes(dataset.graph) == (4, 4)


def test_a_folder_and_the_same_tables_count_the_same_users(make_folder, tmp_path):
    texts = COLD | {"test": "0 3\n1 3\n2 1 2\n3 0\n"}
    folder = make_folder(**texts)
    tables = tmp_path / "tables"
    tables.mkdir()
    for name, text in texts.items():
        lines = [line.split() for line in text.splitlines()]
        rows = [f"{user},{item}\n" for user, *items in lines for item in items]
        (tables / f"{name}.csv").write_text("user,item\n" + "".join(rows))
    with pytest.warns(DataWarning, match="2 users of test have no train pair"):
        one = load_dataset(str(folder))
    with pytest.warns(DataWarning, match="2 users of test have no train pair"):
        made = make_split(str(tables), tmp_path / "out")
    other = load_dataset(str(made.path))
    for name in ("train", "valid", "test"):
        assert pairs(one, name) == pairs(other, name)


few_pairs = st.sets(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1)


def loaded(path, cache):
    """Return pairs by split, in raw ids, and warnings; the error if there is one."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            graph = load_dataset(str(path), cache_dir=cache).graph
        except DataError as error:
            return str(error), []
    users, items = (graph[kind].get("raw_id") for kind in ("user", "item"))
    found = {
        name: [
            (
                int(u if users is None else users[u]),
                int(i if items is None else items[i]),
            )
            for u, i in split_edges(graph, name).t().tolist()
        ]
        for name in ("train", *split_names(graph))
    }
    return found, [str(w.message).removeprefix(f"{path.name}: ") for w in caught]


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(few_pairs, few_pairs, few_pairs)
def test_a_folder_and_tables_of_the_same_pairs_are_the_same(
    tmp_path_factory, train, valid, test
):
    splits = {"train": train, "valid": valid, "test": test}
    folders = [tmp_path_factory.mktemp("tables") for _ in range(2)]
    for name, found in splits.items():
        rows = sorted(found)
        lines = "".join(f"{u} {i}\n" for u, i in rows)
        (folders[0] / f"{name}.txt").write_text(lines)
        table = "".join(f"{u},{i}\n" for u, i in rows)
        (folders[1] / f"{name}.csv").write_text("user,item\n" + table)
    one, other = (
        loaded(folder, tmp_path_factory.mktemp("cache")) for folder in folders
    )
    assert one == other


def test_a_test_of_cold_users_alone_is_an_error(make_folder):
    root = make_folder(**COLD, test="5 1").parent
    with pytest.raises(DataError, match="no user of test has a train pair"):
        InteractionDataset(root, name="toy")


@pytest.mark.parametrize("split", ["train", "test", "not_candidate"])
@pytest.mark.parametrize("user", [False, True])
def test_an_id_far_from_all_others_is_never_allocated(make_folder, split, user):
    texts = COLD | {"test": "0 3\n", "not_candidate": ""}
    if split == "not_candidate" and user:
        return
    far = "10000000 1\n" if user else "0 10000000\n"
    texts[split] += "10000000\n" if split == "not_candidate" else far
    root = make_folder(**texts).parent
    kind = "user" if user else "item"
    with pytest.raises(DataError, match=f"{kind} ids that are row numbers.*10,000,000"):
        InteractionDataset(root, name="toy")


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_regular_file_is_refused_at_once(make_folder, kind):
    folder = make_folder(**COLD, test="0 3")
    (folder / "valid.txt").unlink()
    path = folder / "valid.txt"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(DataError, match=r"valid\.txt: expected a readable file"):
        InteractionDataset(folder.parent, name="toy")
    table = folder / "table.csv"
    table.mkdir() if kind == "folder" else os.mkfifo(table)
    with pytest.raises((DataError, ConfigError)):
        make_split(str(table), folder / "out")
