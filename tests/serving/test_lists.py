import csv
import json

import pandas as pd
import pytest

from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.serving import Recommender, save_lists


@pytest.fixture
def recommender(named_graph, make):
    return Recommender(make(named_graph), named_graph, chunk_size=2)


def rows_of(path):
    if path.suffix == ".parquet":
        return pd.read_parquet(path).to_dict("records")
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    types = {"user": int, "rank": int, "item": lambda x: x.removeprefix("'")}
    rows = csv.DictReader(text.splitlines())
    return [{k: types.get(k, float)(v) for k, v in row.items()} for row in rows]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("k", [3, 30])
def test_a_file_holds_the_table(recommender, tmp_path, kind, k):
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="needs pyarrow, the extra [data]")
    path = tmp_path / f"lists.{kind}"
    save_lists(recommender.stream(k=k), path, kind)
    pd.testing.assert_frame_equal(
        pd.DataFrame(rows_of(path)), recommender.recommend(k=k), check_dtype=False
    )


def test_no_id_is_a_formula(recommender, tmp_path):
    save_lists(recommender.stream(), tmp_path / "x.csv", "csv")
    lines = tmp_path.joinpath("x.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert all(line.split(",")[2].startswith("'=i") for line in lines)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_half_a_table_is_no_file(recommender, tmp_path, kind):
    def tables():
        yield recommender.recommend(k=2)
        raise ConfigError("k")

    with pytest.raises(ConfigError):
        save_lists(tables(), tmp_path / "x", kind)
    assert list(tmp_path.iterdir()) == []
