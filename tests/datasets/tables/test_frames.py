import sys

import pandas as pd
import pytest

from pyg_advinfonce.datasets.tables import frames
from pyg_advinfonce.datasets.tables.frames import ParquetTable
from pyg_advinfonce.errors import DataError, MissingExtraError

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
        pa.string_view(),
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
