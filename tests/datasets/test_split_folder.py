import json
import tracemalloc
from functools import partial

import numpy as np
import pandas as pd
import pytest

from pyg_advinfonce.datasets import (
    load_dataset,
    make_split,
    profile,
    save_simulated,
)
from pyg_advinfonce.datasets.simulated import Simulated
from pyg_advinfonce.datasets.splits import SplitOptions
from pyg_advinfonce.datasets.tables import TableOptions, frames
from pyg_advinfonce.errors import (
    ConfigError,
    DatasetNotFoundError,
    DataWarning,
    UnknownNameError,
)
from pyg_advinfonce.graph import split_edges

TABLE = "user,item\n" + "".join(f"{u},{i}\n" for u in range(5) for i in range(4))


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    return path


@pytest.fixture
def tables(tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "train.csv").write_text(TABLE)
    (folder / "test.tsv").write_text("user\titem\n1\t3\n2\t9\n")
    (folder / "notes.txt").write_text("nothing to read")
    return folder


def test_a_table_is_divided_once(table, tmp_path):
    first = make_split(str(table), tmp_path / "out")
    assert first.manifest["counts"] == {
        **{"users": 5, "items": 4},
        **{"train": 16, "valid": 2, "test": 2},
    }
    assert not make_split(str(table), tmp_path / "out").is_new
    table.write_text(TABLE + "9,9\n9,8\n")
    with pytest.raises(ConfigError, match="another source or of its old content"):
        make_split(str(table), tmp_path / "out")


@pytest.mark.parametrize(
    "options",
    [
        {"split": SplitOptions(seed=1)},
        {"split": SplitOptions(valid_fraction=0.2)},
        {"table": TableOptions(item_col="user", user_col="item")},
    ],
)
def test_other_options_are_another_split(table, tmp_path, options):
    first = make_split(str(table), tmp_path / "out")
    with pytest.raises(ConfigError, match="--overwrite"):
        make_split(str(table), tmp_path / "out", **options)
    other = make_split(str(table), tmp_path / "out", **options, overwrite=True)
    assert other.manifest["fingerprint"] != first.manifest["fingerprint"]


def test_naming_what_was_found_is_the_same_split(table, tmp_path):
    make_split(str(table), tmp_path / "out")
    named = TableOptions(user_col="user", item_col="item")
    assert not make_split(str(table), tmp_path / "out", table=named).is_new


def test_tables_of_other_names_are_no_splits(tables, tmp_path):
    (tables / "train.csv").rename(tables / "train.CSV")
    (tables / "test_old.csv").write_text(TABLE)
    counts = make_split(str(tables), tmp_path / "out", overlap="drop").manifest[
        "counts"
    ]
    assert set(counts) == {"users", "items", "train", "valid", "test"}
    (tables / "train.CSV").rename(tables / "train_data.csv")
    with pytest.raises(DatasetNotFoundError, match="found no train table"):
        make_split(str(tables), tmp_path / "other")


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(DatasetNotFoundError, match=r"none\.csv: no such file"):
        make_split(str(tmp_path / "none.csv"), tmp_path / "out")


def test_a_name_in_any_place_of_the_table_does_not_matter(table, tmp_path):
    first = make_split(str(table), tmp_path / "out")
    moved = table.rename(tmp_path / "renamed.csv")
    assert not make_split(str(moved), tmp_path / "out").is_new
    assert "table.csv" not in json.dumps(first.manifest)


def test_tables_that_are_splits(tables, tmp_path):
    folder = make_split(str(tables), tmp_path / "out", overlap="drop")
    assert folder.manifest["counts"] == {
        **{"users": 5, "items": 5},
        **{"train": 18, "valid": 2, "test": 1},
    }
    (tables / "valid.csv").write_text("user,item\n1,9\n")
    counts = make_split(
        str(tables), tmp_path / "out", overlap="drop", overwrite=True
    ).manifest["counts"]
    assert (counts["train"], counts["valid"]) == (20, 1)


def log_of(num_rows, num_ids):
    rng = np.random.default_rng(0)
    columns = {"user": num_ids, "item": num_ids, "rating": 5, "time": num_rows}
    return pd.DataFrame({c: rng.integers(n, size=num_rows) for c, n in columns.items()})


def in_parts(frame, folder, number=3):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    folder.mkdir()
    for place, rows in enumerate(np.array_split(np.arange(len(frame)), number)):
        part = folder / f"part-{place}.snappy.parquet"
        frame.iloc[rows].to_parquet(part, index=False)
    return folder


@pytest.mark.filterwarnings("ignore::pyg_advinfonce.errors.DataWarning")
@pytest.mark.parametrize("split", ["random", "time", "temporal-user"])
@pytest.mark.parametrize("condition", [None, "rating >= 2"])
def test_a_folder_of_parts_is_split_as_one_file(tmp_path, split, condition):
    frame = log_of(3000, 40)
    whole = tmp_path / "whole.parquet"
    folder = in_parts(frame, tmp_path / "parts")
    (folder / "_SUCCESS").touch()
    frame.to_parquet(whole)
    options = {
        "table": TableOptions(positive_if=condition, min_user=3),
        "split": SplitOptions(split),
    }
    made = [
        make_split(str(source), tmp_path / f"of-{source.stem}", **options).manifest
        for source in (whole, folder)
    ]
    assert made[0]["files"] == made[1]["files"]
    assert made[0]["rows"] == made[1]["rows"]
    assert made[0]["fingerprint"] != made[1]["fingerprint"]
    assert not make_split(str(folder), tmp_path / "of-parts", **options).is_new
    graphs = [
        load_dataset(str(source), split=split, positive_if=condition, min_user=3).graph
        for source in (whole, folder)
    ]
    for name in ("train", "valid", "test"):
        assert split_edges(graphs[0], name).equal(split_edges(graphs[1], name))
    counts = profile(str(folder), positive_if=condition)["splits"]
    assert sum(count["pairs"] for count in counts.values()) > 0


@pytest.mark.filterwarnings("ignore::pyg_advinfonce.errors.DataWarning")
def test_one_table_per_split_comes_before_parts(tmp_path):
    folder = in_parts(log_of(300, 9), tmp_path / "parts", 2)
    for old, new in (("part-0", "train"), ("part-1", "test")):
        (folder / f"{old}.snappy.parquet").rename(folder / f"{new}.parquet")
    in_parts(log_of(300, 9), folder / "more")
    made = make_split(str(folder), tmp_path / "out", overlap="drop").manifest
    assert made["options"]["kind"] == "tables"


@pytest.mark.filterwarnings("ignore::pyg_advinfonce.errors.DataWarning")
@pytest.mark.parametrize("split", ["random", "temporal-user", "popularity-shift"])
def test_a_large_table_needs_few_bytes_per_row(tmp_path, monkeypatch, split):
    num_rows = 300_000
    folder = in_parts(log_of(num_rows, 3000), tmp_path / "parts")
    # Blocks of these sizes do not grow with a table; here, they would hide the rest.
    monkeypatch.setattr(frames, "CHUNK_ROWS", 2**14)
    monkeypatch.setattr("pyg_advinfonce.datasets.splits.write._BLOCK_PAIRS", 2**14)
    tracemalloc.start()
    try:
        make_split(str(folder), tmp_path / "out", split=SplitOptions(split))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / num_rows < 65  # 195 to 211 with int64 rows and copies


RECBOLE = {  # as RecBole writes a benchmark: the columns are typed
    "train": "a\tx\t5\t1\na\ty\t3\t2\nb\tx\t4\t3\n",
    "valid": "a\tz\t4\t4\n",
    "test": "b\tz\t5\t5\n",
}


@pytest.fixture
def recbole(tmp_path):
    folder = tmp_path / "ml-100k"
    folder.mkdir()
    head = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    for name, text in RECBOLE.items():
        (folder / f"ml-100k.{name}.inter").write_text(head + text)
    return folder


@pytest.mark.filterwarnings("ignore::pyg_advinfonce.errors.DataWarning")
def test_the_benchmark_files_of_recbole_are_splits(recbole, tmp_path):
    made = make_split(str(recbole), tmp_path / "out")
    found = load_dataset(str(recbole))
    assert made.manifest["counts"] == {
        **{"users": 2, "items": 3},
        **{"train": 3, "valid": 1, "test": 1},
    }
    graph = load_dataset(str(made.path)).graph
    assert found.graph["user"].raw_id == graph["user"].raw_id == ["a", "b"]
    assert found.graph["item"].raw_id == ["x", "y", "z"]
    for name in ("train", "valid", "test"):
        assert split_edges(found.graph, name).equal(split_edges(graph, name))
    assert found.fingerprint.startswith("ml-100k: 2 users, 3 items, train 3, valid 1")
    found = profile(str(recbole))
    assert found["folder"] == str(recbole)
    assert found["splits"]["test"]["pairs"] == 1


def test_tables_of_splits_are_loaded_with_their_options(recbole):
    load = partial(load_dataset, str(recbole), positive_if="rating >= 4")
    assert split_edges(load().graph, "train").shape == (2, 2)
    with pytest.raises(ConfigError, match="already holds splits"):
        load(split="time")
    (recbole / "ml-100k.valid.inter").unlink()
    load = partial(load_dataset, str(recbole), positive_if="rating >= 1")
    fewer = load(valid_fraction=0.5)
    assert split_edges(fewer.graph, "valid").shape == (2, 1)
    (recbole / "other.train.inter").write_text("user_id:token\titem_id:token\nc\tx\n")
    with pytest.raises(ConfigError, match="is also the split 'train'"):
        load()


def test_pairs_in_two_tables_are_counted(tables):
    (tables / "test.tsv").write_text("user\titem\n1\t1\n2\t9\n")
    with pytest.warns(DataWarning, match="tables: 1 pair of train is also in test"):
        load_dataset(str(tables))


@pytest.mark.parametrize(
    ("given", "missing"),
    [(("valid", "test"), "train"), (("train",), "test")],
)
def test_a_folder_needs_train_and_a_table_held_out(tmp_path, given, missing):
    folder = tmp_path / "tables"
    folder.mkdir()
    for name in given:
        (folder / f"{name}.csv").write_text(TABLE)
    with pytest.raises(DatasetNotFoundError, match=f"found no {missing} table"):
        make_split(str(folder), tmp_path / "out")


def test_a_test_table_is_not_needed_beside_valid(tables, tmp_path):
    (tables / "test.tsv").rename(tables / "valid.tsv")
    made = make_split(str(tables), tmp_path / "out", overlap="drop").manifest["counts"]
    assert set(made) == {"users", "items", "train", "valid"}


def test_tables_that_are_splits_are_not_divided_again(tables, tmp_path):
    with pytest.raises(ConfigError, match="already holds splits"):
        make_split(str(tables), tmp_path / "out", split=SplitOptions("time"))
    (tables / "test.csv").write_text("user,item\n1,9\n")
    with pytest.raises(ConfigError, match=r"test\.csv is also the split 'test'"):
        make_split(str(tables), tmp_path / "out")
    for name in ("test.csv", "test.tsv"):
        (tables / name).unlink()
    with pytest.raises(DatasetNotFoundError, match="found no test table"):
        make_split(str(tables), tmp_path / "out")


@pytest.mark.parametrize("source", ["coatt", "", "no.csv", "x" * 300, "a\0b"])
def test_an_unknown_source(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UnknownNameError, DatasetNotFoundError)) as error:
        make_split(source, tmp_path / "out")
    assert ("did you mean 'coat'" in str(error.value)) == (source == "coatt")
    assert not (tmp_path / "out").exists()


def test_a_published_name_wants_its_owners_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DatasetNotFoundError, match=r"train\.ascii, test\.ascii.* --raw"
    ):
        make_split("coat", tmp_path / "out")
    with pytest.raises(UnknownNameError, match="unknown source with --raw 'tencent'"):
        make_split("tencent", tmp_path / "out", raw=tmp_path)
    with pytest.raises(ConfigError, match="its only option is seed"):
        make_split("coat", tmp_path / "out", raw=tmp_path, split=SplitOptions("time"))


@pytest.mark.parametrize("size", ["coat"])
def test_what_is_simulated_is_what_is_written(size, tmp_path):
    folder = save_simulated(tmp_path / "out", size=size, popularity_bias=0.5, seed=2)
    read = load_dataset(str(folder.path)).fingerprint
    made = Simulated(size, popularity_bias=0.5, seed=2).fingerprint
    assert read.partition(":")[2] == made.removeprefix(f"simulated:{size}:")
    assert not save_simulated(
        tmp_path / "out", size=size, popularity_bias=0.5, seed=2
    ).is_new
    with pytest.raises(ConfigError, match=r"=0\.5, not with popularity_bias=1\.0"):
        save_simulated(tmp_path / "out", size=size, seed=2)
