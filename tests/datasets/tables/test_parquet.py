import sys

import pandas as pd
import pytest

from pyg_advinfonce.datasets.tables import parquet
from pyg_advinfonce.datasets.tables.parquet import ParquetTable
from pyg_advinfonce.errors import DataError, MissingExtraError

pytest.importorskip("pyarrow", reason="pyarrow is not installed")


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
    monkeypatch.setattr(parquet, "CHUNK_ROWS", 1)
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
