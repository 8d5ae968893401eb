import gzip
import json

import pandas as pd
import pytest

from pyg_advinfonce.datasets.tables import open_table
from pyg_advinfonce.errors import DataError

ROWS = [
    {"user": "007", "item": 2**60 + 1, "rating": 4, "time": 7},
    {"item": 20, "user": "a", "rating": 5.5, "time": 8, "note": None},
]


@pytest.fixture
def write(tmp_path):
    def write(rows, name="table.jsonl"):
        path = tmp_path / name
        text = "\n\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows)
        data = text.encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
        return path

    return write


def read_all(path, ids=("user", "item"), numbers=("rating",), time="time"):
    return pd.concat(open_table(path).chunks(ids, numbers, time))


@pytest.mark.parametrize("name", ["table.jsonl", "table.ndjson", "table.jsonl.gz"])
def test_ids_stay_as_they_are(write, name):
    path = write(ROWS, name)
    assert open_table(path).names[:2] == ["user", "item"]
    expected = [["007", 2**60 + 1, 4.0, 7.0], ["a", 20, 5.5, 8.0]]
    assert read_all(path).to_numpy().tolist() == expected


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", r":5: expected a JSON object"),
        ("[1, 2]", r":5: expected a JSON object"),
        ('{"user": 1, "item": [1, 2], "rating": 1, "time": 1}', "one value per row"),
        ('{"user": 1, "item": {"a": 2}, "rating": 1, "time": 1}', "one value per row"),
        ('{"user": 1, "item": 2, "rating": "good", "time": 1}', ":3:3: .*finite"),
        ('{"user": 1, "item": 2, "rating": NaN, "time": 1}', ":3:3: .*finite"),
        ('{"user": 1, "item": 2, "time": 1}', ":3:3: .*finite number"),
        ('{"user": 1, "item": 2, "rating": 1, "time": "x"}', ":3:4: "),
        ("[" * 10**5, r":5: expected a JSON object"),
    ],
)
def test_a_wrong_row_is_one_line_with_its_place(write, row, said):
    with pytest.raises(DataError, match=said) as error:
        read_all(write([*ROWS, row]))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("rows", [[], ["", " "], ["1"]])
def test_a_file_without_rows(write, rows):
    with pytest.raises(DataError, match=r":\d+: expected"):
        read_all(write(rows))
