import sys
from pathlib import Path

import pandas as pd
import pytest

from pyg_advinfonce.datasets.tables import (
    frames,
    open_table,
    parquet_parts,
    table_sha256,
)
from pyg_advinfonce.datasets.tables.frames import ParquetTable
from pyg_advinfonce.errors import ConfigError, DataError, MissingExtraError

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")


@pytest.fixture
def write(tmp_path):
    def write(**columns):
        path = tmp_path / "table.parquet"
        pd.DataFrame(columns).to_parquet(path)
        return path

    return write


def read(path, *, ids=("user",), numbers=(), time=None):
    return pd.concat(ParquetTable(path).chunks(ids, numbers, time))


def test_columns_of_any_type(write):
    path = write(
        user=["b", "a"],
        rating=[4, 5],
        time=pd.to_datetime(["2020-01-01", "2020-01-02"]),
    )
    found = read(path, numbers=["rating"], time="time")
    assert found["user"].tolist() == ["b", "a"]
    assert found["rating"].tolist() == [4.0, 5.0]
    assert found["time"].diff().iloc[1] == 24 * 3600


def test_pieces_are_one_table(write, monkeypatch):
    monkeypatch.setattr(frames, "CHUNK_ROWS", 1)
    assert read(write(user=[3, 1, 2]))["user"].tolist() == [3, 1, 2]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), None])
def test_a_wrong_number_is_named_with_its_row(write, wrong):
    path = write(user=[1, 2, 3], rating=[1.0, 2.0, wrong])
    with pytest.raises(DataError, match=r":3:2: expected a finite number in column 'r"):
        read(path, numbers=["rating"])


def test_a_missing_time_is_named_with_its_row(write):
    path = write(user=[1, 2], time=pd.to_datetime(["2020-01-01", None]))
    with pytest.raises(DataError, match=r":2:2: .*ISO 8601"):
        read(path, time="time")


def test_what_is_no_parquet_file(tmp_path, write):
    for name, content in {"a": b"", "b": b"user,item\n1,2\n", "c": b"PAR1" * 9}.items():
        path = tmp_path / f"{name}.parquet"
        path.write_bytes(content)
        with pytest.raises(DataError, match="expected a parquet file") as error:
            ParquetTable(path)
        assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="expected rows, found none"):
        ParquetTable(write(user=[]))


def test_without_pyarrow_the_extra_is_named(write, monkeypatch):
    path = write(user=[1])
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtraError, match=r"pyg-advinfonce\[data\]"):
        ParquetTable(path)


def arrow(tmp_path, **columns):
    path = tmp_path / "arrow.parquet"
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    "kind",
    [
        pa.binary(),
        pa.large_binary(),
        pa.binary(2),
        pa.dictionary(pa.int32(), pa.binary()),
        pa.dictionary(pa.int32(), pa.string()),
        pa.large_string(),
        pytest.param(
            pa.string_view(),
            marks=pytest.mark.skipif(
                int(pa.__version__.split(".")[0]) < 21,
                reason="pyarrow writes string views since 21",
            ),
        ),
    ],
)
def test_binary_columns_are_text(tmp_path, kind):
    words = (
        ["u0", "é", "u0"] if kind != pa.dictionary(pa.int32(), pa.string()) else None
    )
    words = words or ["a", "b", "a"]
    values = words if "str" in str(kind) else [word.encode() for word in words]
    base = kind.value_type if pa.types.is_dictionary(kind) else kind
    column = pa.array(values, base)
    if pa.types.is_dictionary(kind):
        column = column.dictionary_encode()
    path = arrow(tmp_path, user=column, time=["2020-01-01"] * 3)
    assert read(path, time="time")["user"].tolist() == words


def test_binary_that_is_no_text_is_one_line(tmp_path):
    path = arrow(tmp_path, user=[b"\x01\xff" * 8, b"\x02\xfe" * 8])
    with pytest.raises(DataError, match=r"'user', got binary .* UTF-8") as error:
        read(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.int64()),
        pa.large_list(pa.int64()),
        pa.list_(pa.int64(), 2),
        pa.struct([("a", pa.int64())]),
        pa.map_(pa.string(), pa.int64()),
    ],
)
@pytest.mark.parametrize("role", ["ids", "numbers", "time"])
def test_columns_of_many_values_a_row_are_one_line(tmp_path, kind, role):
    values = {"struct": {"a": 1}, "map": [("a", 1)]}.get(str(kind).partition("<")[0])
    path = arrow(tmp_path, user=["a"], item=pa.array([values or [1, 2]], kind))
    asked = {"ids": ("user", "item")} if role == "ids" else {role: ["item"]}
    asked = asked if role != "time" else {"time": "item"}
    with pytest.raises(DataError, match=r":1:2: expected one value per row .*'item'"):
        read(path, **asked)


def test_ids_beside_a_missing_one_stay_integers(tmp_path):
    path = arrow(tmp_path, user=[2**60 + 1, None])
    assert [str(x) for x in read(path)["user"]] == [str(2**60 + 1), "None"]


def parts(folder, **tables):
    """Write files ``name.parquet``; ``__`` in a name starts a subfolder."""
    for name, columns in tables.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)
    return folder


def test_the_parts_of_a_folder_are_one_table_in_order(tmp_path):
    folder = parts(
        tmp_path / "out.parquet",
        b={"user": [3], "item": [1]},
        a={"item": [7, 8], "user": [5, 4]},  # in another order
        c={"user": pa.array([], pa.int64()), "item": pa.array([], pa.int64())},
        sub__d={"user": [9], "item": [1]},
        _metadata={"user": [0], "item": [0]},
        _temporary__e={"user": [0], "item": [0]},
    )
    (folder / "_SUCCESS").touch()
    (folder / ".b.parquet.crc").write_bytes(b"crc")
    table = open_table(folder)
    assert sorted(table.names) == ["item", "user"]
    found = pd.concat(table.chunks(["user"], [], None))
    assert found["user"].tolist() == [5, 4, 3, 9]


@pytest.mark.parametrize("is_relative", [False, True])
def test_folders_named_after_values_are_columns(tmp_path, monkeypatch, is_relative):
    parts(tmp_path / "t", **{"day=2020-01-02__kind=7__p0": {"user": ["b", "c"]}})
    parts(tmp_path / "t", **{"day=2020-01-01__kind=10__p0": {"user": ["a"]}})
    monkeypatch.chdir(tmp_path)
    table = open_table(Path("t") if is_relative else tmp_path / "t")
    assert table.names == ["user", "day", "kind"]
    found = pd.concat(table.chunks(["user"], ["kind"], "day"))
    assert found["user"].tolist() == ["a", "b", "c"]
    assert found["day"].diff().tolist()[1:] == [24 * 3600, 0]
    assert found["kind"].tolist() == [10.0, 7.0, 7.0]
    kinds = pd.concat(table.chunks([], [], None, ["kind"]))
    assert kinds["kind"].tolist() == ["10", "7", "7"]


def test_a_wrong_value_is_named_with_its_part_and_row(tmp_path):
    folder = parts(tmp_path / "t", a={"user": [1, 2]}, b={"user": [1, -1]})
    table = open_table(folder)
    wrong = table.wrong("user", lambda text: text == "-1", "an id")
    assert str(wrong) == f"{folder / 'b.parquet'}:2:1: expected an id, got '-1'"
    parts(tmp_path / "n", a={"rating": [1.0]}, b={"rating": [2.0, None]})
    with pytest.raises(DataError, match=r"b\.parquet:2:1: expected a finite number"):
        list(open_table(tmp_path / "n").chunks([], ["rating"], None))


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"user": [1]}, r"expected the columns of a\.parquet, .*'item'.* got"),
        ({"user": [1], "item": [1], "x": [1]}, r"columns of a\.parquet, .* got .*'x'"),
        ({"user": ["1"], "item": [1]}, "the type int64 in column 'user', .* got str"),
        ({"user": [[1]], "item": [1]}, "1: expected one value per row"),
    ],
)
def test_a_part_of_another_schema_is_named(tmp_path, second, said):
    folder = parts(tmp_path / "t", a={"user": [1], "item": [1]}, b=second)
    with pytest.raises(DataError, match=r"b\.parquet:1:.*" + said):
        list(open_table(folder).chunks(["user", "item"], [], None))


def test_the_codes_of_a_category_may_differ(tmp_path):
    words = [pa.array(x).dictionary_encode() for x in (["a", "b"], ["c"])]
    words[1] = words[1].cast(pa.dictionary(pa.int8(), pa.string()))
    folder = parts(tmp_path / "t", a={"user": words[0]}, b={"user": words[1]})
    found = pd.concat(open_table(folder).chunks(["user"], [], None))
    assert found["user"].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("content", [b"", b"user,item\n1,2\n"])
def test_a_part_that_is_no_parquet_file_is_named(tmp_path, content):
    folder = parts(tmp_path / "t", a={"user": [1]})
    (folder / "b.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"b\.parquet:1: expected a parquet file"):
        open_table(folder)


def test_another_file_among_the_parts_is_an_error(tmp_path):
    folder = parts(tmp_path / "t", a={"user": [1]}, sub__b={"user": [1]})
    (folder / "sub" / "c.csv").write_text("user\n2\n")
    with pytest.raises(DataError, match=r"c\.csv: expected only \.parquet files"):
        open_table(folder)


def test_parts_named_after_splits_are_not_merged(tmp_path):
    names = {"train-0": {"user": [1]}, "test-0": {"user": [1]}}
    with pytest.raises(DataError, match="named after splits, test and train"):
        open_table(parts(tmp_path / "t", **names))
    names = {"train__0": {"user": [1]}, "train__1": {"user": [1]}}
    assert len(parquet_parts(parts(tmp_path / "u", **names))) == 2


def test_a_folder_without_parts_or_rows(tmp_path):
    (tmp_path / "README.md").touch()
    parts(tmp_path, sub__a={"user": pa.array([], pa.int64())})
    assert parquet_parts(tmp_path) == []
    with pytest.raises(ConfigError, match="expected a table"):
        open_table(tmp_path)
    with pytest.raises(DataError, match="sub:1: expected rows, found none"):
        open_table(tmp_path / "sub")


def test_the_hash_of_a_folder_is_of_names_and_contents(tmp_path):
    folder = parts(tmp_path / "t", a={"user": [1]}, b={"user": [2]})
    first = table_sha256(folder)
    (folder / "_SUCCESS").touch()
    assert table_sha256(folder.rename(tmp_path / "u")) == first
    folder = tmp_path / "u"
    (folder / "b.parquet").rename(folder / "c.parquet")
    renamed = table_sha256(folder)
    parts(folder, c={"user": [3]})
    assert len({first, renamed, table_sha256(folder)}) == 3
