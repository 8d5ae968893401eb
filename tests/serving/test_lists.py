import csv
import io
import json

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.serving import Recommender, csv_texts, json_texts, save_lists


@pytest.fixture
def recommender(named_graph, make):
    return Recommender(make(named_graph), named_graph, chunk_size=2)


def rows_of(path):
    if path.suffix == ".parquet":
        return pd.read_parquet(path).to_dict("records")
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    types = {"user": int, "rank": int, "item": str}
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


NASTY = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


@given(st.lists(NASTY, min_size=1, max_size=5, unique=True))
@example(
    ["@ann", "-wtIMT", "=1+1", "c  d", "c d", 'say "hi"', "a,b", " x ", "l\rr", "\n"]
)
@settings(max_examples=60)
def test_ids_come_out_as_they_went_in(ids):
    tables = [pd.DataFrame({"user": [i], "rank": 1, "item": i}) for i in ids]
    text = "".join(csv_texts(tables))
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [(row["user"], row["item"]) for row in rows] == [(i, i) for i in ids]
    lines = "".join(json_texts(tables)).split("\n")[:-1]
    assert [json.loads(line)["item"] for line in lines] == ids


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_half_a_table_is_no_file(recommender, tmp_path, kind):
    def tables():
        yield recommender.recommend(k=2)
        raise ConfigError("k")

    with pytest.raises(ConfigError):
        save_lists(tables(), tmp_path / "x", kind)
    assert list(tmp_path.iterdir()) == []
