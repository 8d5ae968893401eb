"""No list holds an item that the data knows of its user, whatever the data's form."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyg_advinfonce.datasets import as_dataset, load_dataset, make_split
from pyg_advinfonce.datasets.splits import SplitOptions
from pyg_advinfonce.datasets.tables import TableOptions
from pyg_advinfonce.encoders import FixedEmbeddings
from pyg_advinfonce.errors import ConfigError, DataError, DataWarning
from pyg_advinfonce.graph import SEEN, build_graph, num_nodes, split_edges, split_names
from pyg_advinfonce.serving import Recommender
from tests.scorers import untrained

LIKED = "rating >= 4"
SPLITS = [
    {"split": "random", "valid_fraction": 0.2, "test_fraction": 0.2},
    {"split": "leave-last"},
    {"split": "random", "valid_fraction": 0.2, "test_fraction": 0},
    {"split": "temporal-user", "valid_fraction": 0.2, "test_fraction": 0.2},
    {"split": "time", "valid_fraction": 0.2, "test_fraction": 0.2},
    {"split": "popularity-shift", "gammas": [4, 2], "num_groups": 2},
]

pytestmark = pytest.mark.filterwarnings("ignore::pyg_advinfonce.errors.DataWarning")


def table_of(seed, users=24, items=30):
    """Return ratings of most users for a third of all items, some of them twice."""
    rng = np.random.default_rng(seed)
    user, item = np.nonzero(rng.random((users, items)) < 0.35)
    again = rng.integers(len(user), size=40)
    user, item = np.append(user, user[again]), np.append(item, item[again])
    return pd.DataFrame(
        {
            "user": [f"u{u}" for u in user],
            "item": [f"i{i}" for i in item],
            "rating": rng.integers(1, 6, len(user)),
            "time": rng.integers(0, 50, len(user)),
        }
    )


def recommender(graph, **options):
    user, item = (torch.rand(number, 3) for number in num_nodes(graph))
    method = untrained(FixedEmbeddings(user=user, item=item))
    return Recommender(method, graph, **options)


def listed(graph, **options):
    """Return all listed pairs, as texts, of lists that are as long as they can be."""
    table = recommender(graph, **options).recommend(k=10_000)
    return set(zip(table["user"].astype(str), table["item"].astype(str), strict=True))


def pairs_of(frame):
    return set(zip(frame["user"].astype(str), frame["item"].astype(str), strict=True))


@pytest.mark.parametrize("options", SPLITS, ids=lambda found: found["split"])
@pytest.mark.parametrize("form", ["frame", "file", "folder"])
def test_every_row_of_a_table_is_seen(tmp_path, options, form):
    frame = table_of(seed=3)
    if form == "frame":
        data = load_dataset(frame, positive_if=LIKED, **options)
    else:
        path, out = tmp_path / "table.csv", tmp_path / "out"
        frame.to_csv(path, index=False)
        if form == "file":
            cache = tmp_path / "cache"
            made = [
                load_dataset(str(path), cache_dir=cache, positive_if=LIKED, **options)
                for _ in range(2)  # built, then read from the cache
            ]
            assert listed(made[0].graph) == listed(made[1].graph)
            data = made[1]
        else:
            gammas = options.get("gammas")
            split = options | ({"gammas": tuple(gammas)} if gammas else {})
            make_split(
                str(path),
                out,
                table=TableOptions(positive_if=LIKED),
                split=SplitOptions(**split),
            )
            data = load_dataset(str(out), cache_dir=tmp_path / "cache")
    ids = {t: set(map(str, data.graph[t].raw_id)) for t in ("user", "item")}
    found = listed(data.graph)
    every = {(u, i) for u in ids["user"] for i in ids["item"]}
    assert found == every - pairs_of(frame)
    assert len(found) > 100


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    options=st.sampled_from(SPLITS),
    core=st.integers(1, 3),
    valid_is_liked=st.booleans(),
)
def test_nothing_known_is_listed(seed, options, core, valid_is_liked):
    frame = table_of(seed, users=12, items=15)
    condition = {"positive_if": LIKED} if valid_is_liked else {}
    try:
        data = load_dataset(frame, min_user=core, min_item=core, **condition, **options)
    except (ConfigError, DataError):  # a split is empty
        return
    assert not listed(data.graph) & pairs_of(frame)


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 10_000))
def test_tables_per_split(tmp_path_factory, seed):
    folder, frame = tmp_path_factory.mktemp("tables"), table_of(seed)
    part = np.random.default_rng(seed).integers(3, size=len(frame))
    for number, name in enumerate(["train", "valid", "test"]):
        frame[part == number].to_csv(folder / f"{name}.csv", index=False)
    out = folder / "out"
    make_split(str(folder), out, table=TableOptions(positive_if=LIKED))
    data = load_dataset(str(out), cache_dir=folder / "cache")
    assert not listed(data.graph) & pairs_of(frame)


def test_split_files_of_others(tmp_path):
    """A user without a train pair keeps seeing nothing of what was held out."""
    lines = {
        "train": ["0 0 1", "1 1 2", "2 0 3"],
        "valid": ["0 2", "1 3", "3 0"],
        "test": ["0 3", "2 1", "3 1"],
        "seen": ["0 4", "3 2", "9 0", "1 99"],  # the last two are of nobody
    }
    for name, found in lines.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(found), encoding="utf-8")
    (tmp_path / "item_ids.txt").write_text("a\nb\nc\nd\ne\n", encoding="utf-8")
    with pytest.warns(DataWarning, match="no train pair"):
        data = load_dataset(str(tmp_path), cache_dir=tmp_path / "cache")
    expected = {("1", "a"), ("1", "e"), ("2", "c"), ("2", "e"), ("3", "d"), ("3", "e")}
    assert listed(data.graph) == expected
    assert SEEN[1] not in split_names(data.graph)


def test_a_graph_in_memory():
    train, valid = [[0, 0, 1], [0, 1, 2]], [[0, 1, 2], [2, 0, 0]]
    graph = build_graph(
        torch.tensor(train),
        num_users=3,
        num_items=5,
        splits={"valid": torch.tensor(valid)},
        seen=torch.tensor([[0, 2, 0], [3, 1, 0]]),
    )
    data = as_dataset(graph)
    expected = [(0, 4), (1, 1), (1, 3), (1, 4), (2, 2), (2, 3), (2, 4)]
    assert listed(data.graph) == {(str(u), str(i)) for u, i in expected}
    assert data.fingerprint == as_dataset(data.graph).fingerprint


def test_which_items_count_as_seen():
    data = load_dataset(table_of(seed=5), positive_if=LIKED, split="leave-last")
    pairs = {
        name: {
            (data.graph["user"].raw_id[u], data.graph["item"].raw_id[i])
            for u, i in split_edges(data.graph, name).T.tolist()
        }
        for name in ("train", "valid", "test")
    }
    of_train, of_none = (listed(data.graph, seen=s) for s in ("train", "none"))
    assert pairs["train"] <= of_none - of_train
    assert pairs["valid"] | pairs["test"] <= of_train - listed(data.graph)
    number = data.graph["user"].num_nodes * data.graph["item"].num_nodes
    assert len(of_none) == number
    with pytest.raises(ValueError, match="seen must be one of all, train, none"):
        recommender(data.graph, seen="valid")


@pytest.mark.filterwarnings("error::pyg_advinfonce.errors.DataWarning")
def test_who_has_seen_everything_is_told():
    rows = [("a", i, 5) for i in range(6)] + [("b", i, 5) for i in range(3)]
    rows += [("b", 3, 1), ("c", 0, 4), ("c", 1, 4), ("c", 5, 4)]
    frame = pd.DataFrame(rows, columns=["user", "item", "rating"])
    data = load_dataset(frame, positive_if=LIKED, valid_fraction=0.2, test_fraction=0.2)
    with pytest.warns(DataWarning, match="1 user has seen all items"):
        assert "a" not in set(recommender(data.graph).recommend()["user"])


def test_nobody_untrained_gets_a_list_without_a_word(tmp_path):
    for name, text in {"train": "0 0 1\n1 1 2", "valid": "0 2", "test": "1 0"}.items():
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    (tmp_path / "user_ids.txt").write_text("ann\nbob\ncold\n", encoding="utf-8")
    graph = load_dataset(str(tmp_path), cache_dir=tmp_path / "cache").graph
    with pytest.warns(DataWarning, match=r"1 user has no train pair, e\.g\. 'cold'"):
        recommender(graph).recommend(["bob", "cold"])
    recommender(graph).recommend(["bob"])


@pytest.mark.parametrize("form", ["coat", "yahoo"])
def test_owners_files(tmp_path, form):
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    rng = np.random.default_rng(1)
    rated = [rng.integers(0, 6, (8, 12)) for _ in range(2)]
    if form == "coat":
        names = ["train.ascii", "test.ascii"]
        texts = ["\n".join(" ".join(map(str, row)) for row in m) for m in rated]
    else:
        stem = "ydata-ymusic-rating-study-v1_0-"
        names = [f"{stem}train.txt", f"{stem}test.txt"]
        texts = [
            "\n".join(f"{u}\t{i}\t{m[u, i]}" for u, i in np.argwhere(m > 0).tolist())
            for m in rated
        ]
    for name, text in zip(names, texts, strict=True):
        (raw / name).write_text(text, encoding="utf-8")
    make_split(form, out, raw=raw)
    graph = load_dataset(str(out), cache_dir=tmp_path / "cache").graph
    known = {(str(u), str(i)) for m in rated for u, i in np.argwhere(m > 0).tolist()}
    users, items = (set(map(str, graph[t].raw_id.tolist())) for t in ("user", "item"))
    assert listed(graph) == {(u, i) for u in users for i in items} - known


@pytest.mark.parametrize("name", ["seen.txt", "not_candidate.txt"])
@pytest.mark.parametrize("how", ["load", "split"])
def test_row_numbers_beside_triples_are_refused(tmp_path, name, how):
    text = "\n".join(f"{u} {i} 5" for u in range(4) for i in range(u, u + 5))
    for split in ("train", "test"):
        (tmp_path / f"{split}.txt").write_text(text, encoding="utf-8")
    (tmp_path / name).write_text("0 1", encoding="utf-8")
    options = TableOptions(format="triples")
    read = {
        "load": partial(load_dataset, format="triples", valid_fraction=0.1),
        "split": partial(make_split, out=tmp_path / "out", table=options),
    }
    with pytest.raises(DataError, match=f"{name} holds row numbers"):
        read[how](str(tmp_path))
