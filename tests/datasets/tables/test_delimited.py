import bz2
import gzip
import lzma
import re
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pyg_advinfonce.datasets.tables import DelimitedTable, delimited
from pyg_advinfonce.errors import (
    ConfigError,
    DataError,
    DataWarning,
    MissingExtraError,
)

TEXT = "user,item,rating,time\n1,10,4,7\n2,20,5.5,8\n"


@pytest.fixture
def write(tmp_path):
    def write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def read(path, *, ids=("user", "item"), numbers=("rating",), time=None):
    return pd.concat(DelimitedTable(path).chunks(ids, numbers, time))


def rows(path, **columns):
    return read(path, **columns).to_numpy().tolist()


EXPECTED = [["1", "10", 4.0], ["2", "20", 5.5]]


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "\ufeff" + TEXT,
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n", "\r"),
        TEXT.rstrip(),
        "\n \n" + TEXT.replace("\n", "\n\n"),
        TEXT.replace(",", ";"),
        TEXT.replace(",", "\t"),
        TEXT.replace(",", "|"),
        TEXT.replace(",", ", "),
        TEXT.replace("1,10", '"1","10"'),
        TEXT.replace("\n", ",\n"),
    ],
)
def test_any_layout(write, text):
    assert rows(write(text)) == EXPECTED


def test_pieces_are_one_table(write, monkeypatch):
    monkeypatch.setattr(delimited, "CHUNK_ROWS", 1)
    assert rows(write(TEXT)) == EXPECTED
    dates = TEXT.replace(",7\n", ",1970-01-01\n").replace(",8\n", ",1970-01-02\n")
    found = read(write(dates), time="time")["time"].to_list()
    assert found[0] < found[1]
    both = read(write(TEXT), ids=("user", "item", "rating"))["rating"].to_list()
    assert both == [4.0, 5.5]


def test_other_columns_may_hold_anything(write):
    text = 'user,title,item,rating,\n1,"a, ""b""\nc",10,4,\n2,,20,5.5,x\n'
    assert rows(write(text)) == EXPECTED


@pytest.mark.parametrize("before", [0, 2])
def test_a_row_with_more_values_than_columns(write, before, monkeypatch):
    monkeypatch.setattr(delimited, "CHUNK_ROWS", 2)
    more = "\n1,10\n" * (before // 2) + "1,Hello, world,4,7\n"
    path = write(TEXT + more)
    with pytest.raises(DataError) as error:
        read(path)
    assert str(error.value) == (
        f"{path}:{4 + before}: expected 4 values, got 5: quote values that contain the "
        "delimiter"
    )


def test_ids_stay_as_they_are(write):
    text = 'user,item\n007,"a ""b"", c"\n☃,=1+1\n-1,3.0\n'
    expected = [["007", 'a "b", c'], ["☃", "=1+1"], ["-1", "3.0"]]
    assert rows(write(text), numbers=()) == expected


def test_a_file_without_a_header(write):
    table = DelimitedTable(write("1\t10\t4\n2\t20\t5\n"), names=["a", "b", "c"])
    (chunk,) = table.chunks(["a"], ["c"], None)
    assert chunk.to_numpy().tolist() == [["1", 4.0], ["2", 5.0]]


@pytest.mark.parametrize(
    "times",
    [
        ["5", "1e1"],
        ["2020-01-01", "2020-01-02"],
        ["2020-01-01 10:00:00", "2020-01-01T11:00:00.5"],
        ["2020-01-01T10:00:00+02:00", "2020-01-01T09:00:00Z"],
    ],
)
def test_times_sort_as_they_should(write, times):
    path = write("user,item,time\n1,1,{}\n1,2,{}\n".format(*times))
    found = read(path, numbers=(), time="time")["time"]
    assert found.dtype == np.float64
    assert found.iloc[0] < found.iloc[1]


@pytest.mark.parametrize(
    ("row", "place", "said"),
    [
        ("3,30,x,9", "4:3", "a finite number in column 'rating', got 'x'"),
        ("3,30,,9", "4:3", "a finite number in column 'rating', got ''"),
        ("3,30,nan,9", "4:3", "a finite number in column 'rating', got 'nan'"),
        ("3,30,inf,9", "4:3", "a finite number in column 'rating', got 'inf'"),
        ("3,30,1e400,9", "4:3", "a finite number in column 'rating', got '1e400'"),
        ("3,30,1_0,9", "4:3", "a finite number in column 'rating', got '1_0'"),
        ("\n3,30,x,9", "5:3", "a finite number in column 'rating', got 'x'"),
        ("3", "4:3", "a finite number in column 'rating', got ''"),
        ("3,30,4,soon", "4:4", "a finite number in column 'time', got 'soon'"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(write, row, place, said):
    path = write(TEXT + row + "\n")
    with pytest.raises(DataError) as error:
        read(path, time="time")
    if said.endswith(("''", "'nan'", "'inf'")):
        said += ": drop such rows with --drop-incomplete (data.drop_incomplete)"
    assert str(error.value) == f"{path}:{place}: expected {said}"


def test_a_wrong_time_is_named_with_its_place(write):
    path = write("user,item,time\n1,1,2020-01-01\n1,2,01/02/2020\n")
    with pytest.raises(DataError, match=r":3:3: .*ISO 8601 .* got '01/02/2020'"):
        read(path, numbers=(), time="time")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ":1: expected a header line"),
        ("\n \r\n", ":1: expected a header line"),
        ("user,item\n", ":1: expected rows below"),
        ("user,item\n\n  \n", ":1: expected rows below"),
        ("1,2,3\n4,5,6\n", ":1: expected a header line with column names, got '1,2,3'"),
        (
            "user,item,user\n1,2,3\n",
            ":1: expected each column once, found 'user' twice",
        ),
        (TEXT.encode() + b"\xff,1,4,4\n", ":4: expected text in UTF-8"),
        (TEXT.encode("utf-16"), ":1: expected text in UTF-8"),
        (TEXT + '"3,30,4,9\n', ":4: malformed row"),
    ],
)
def test_what_is_no_table(write, content, said):
    path = write(content)
    with pytest.raises(DataError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}{said}")
    assert len(str(error.value).splitlines()) == 1


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"no\.csv: expected a readable file"):
        DelimitedTable(tmp_path / "no.csv")
    with pytest.raises(DataError, match="expected a readable file"):
        DelimitedTable(tmp_path)


def test_long_values_are_shortened_and_escaped(write):
    path = write(TEXT + "3,30,\x1b[31m" + "x" * 1000 + ",9\n")
    with pytest.raises(DataError) as error:
        read(path)
    assert len(str(error.value)) < 300
    assert "\x1b" not in str(error.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["user,item,rating,time\n", "user,item\n", ""]),
    st.binary(max_size=60)
    | st.text('019,;\t\n\r "-.exn☃\0', max_size=60).map(str.encode),
)
@example("user,item,rating,time\n", b'1,"2,3\n')
@example("user,item,rating,time\n", b"1,2\r3,4\n\n")
@example("", b"\xff\xfeu\0")
@example("user,item\n", b"\r,")
@example("user,item,rating,time\n", b"\r,")
def test_any_bytes_are_a_table_or_an_error_of_one_line_with_the_place(
    write, header, content
):
    path = write(header.encode() + content)
    try:
        table = DelimitedTable(path)
        numbers = [name for name in table.names if name == "rating"]
        found = pd.concat(table.chunks(table.names[:1], numbers, None))
    except DataError as error:
        message = str(error)
        assert re.match(rf"{re.escape(str(path))}:\d+(:\d+)?: \w", message)
        assert len(message.splitlines()) == 1
    else:
        assert len(found)
        assert np.isfinite(found[numbers].to_numpy(np.float64)).all()


word = st.text(
    st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(' ,;|"'), min_size=1
).filter(lambda text: text.strip(" \t") == text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(word, word), min_size=1), st.sampled_from(",;|"))
def test_what_pandas_writes_is_read(write, pairs, sep):
    frame = pd.DataFrame(pairs, columns=["user", "item"])
    path = write(frame.to_csv(index=False, sep=sep))
    assert rows(path, numbers=()) == [list(pair) for pair in pairs]


def test_a_quote_in_a_tsv_is_a_letter(write):
    lines = [
        "user\titem\tname",
        'u1\tm2\t"heroes',
        "u1\tm3\tthree",
        'u2\t"m3"\t12" "a"',
    ]
    lines += ['u3\t"\t', 'u3\tm4"\t"heroes"', '"u4\tm1\tlow"']
    found = rows(write("\n".join(lines)), numbers=())
    assert found == [line.split("\t")[:2] for line in lines[1:]]


def test_a_tsv_that_quotes_its_header_quotes_its_values(write):
    text = '"user"\t"item"\n"u1"\t"a ""b"""\n"u2"\t7\n'
    assert rows(write(text), numbers=()) == [["u1", 'a "b"'], ["u2", "7"]]


def test_a_quote_that_swallows_rows_of_a_csv_is_an_error(write):
    text = 'user,item,name\nu1,m2,"heroes\nu1,m3,three\nu2,m1,"low" part\nu3,m3,x\n'
    with pytest.raises(DataError, match=r":4: malformed .*quote"):
        read(write(text), numbers=())


def test_quoted_values_that_look_like_rows_are_a_warning(write):
    text = 'user,item,name\nu1,m2,"heroes\nu2,m3,12"\nu3,m3,"two\nlines"\n'
    with pytest.warns(DataWarning, match="1 quoted values .* look like rows.* line 2"):
        assert len(read(write(text), numbers=())) == 2


letters = st.text("ab \",;'|:", max_size=5).map("x{}y".format) | st.sampled_from('"x')


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(letters, letters, letters), min_size=1),
    st.sampled_from(["\t", "::"]),
)
def test_every_line_of_a_tsv_is_a_record(write, lines, sep):
    lines = [[value.replace(":", "") for value in line] for line in lines]
    lines = [[f"x{value}y" for value in line] for line in lines]
    path = write(
        "".join(sep.join(line) + "\n" for line in [["user", "item", "z"], *lines])
    )
    assert rows(path, numbers=()) == [line[:2] for line in lines]


@pytest.mark.parametrize(
    ("ending", "pack"),
    [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)],
)
def test_packed_text(write, ending, pack):
    text = TEXT + "3,30,4,9\n" * 1000
    assert rows(write(pack(text.encode()), f"t.csv.{ending}")) == rows(write(text))
    tail = pack(text.encode())[:-10]
    with pytest.raises(DataError, match=f"expected a complete {ending} file") as error:
        read(write(tail, f"t.csv.{ending}"))
    assert "\n" not in str(error.value)
    with pytest.raises(DataError, match=f"expected a complete {ending} file"):
        read(write(text, f"t.csv.{ending}"))
    with pytest.raises(DataError, match=":3:3: expected a finite number"):
        read(write(pack(TEXT.replace("5.5", "x").encode()), f"t.csv.{ending}"))


def test_zstd_text_needs_the_extra(write, monkeypatch):
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    content = pa.compress(TEXT.encode(), "zstd", asbytes=True)
    assert rows(write(content, "t.tsv.zst")) == EXPECTED
    with pytest.raises(DataError, match="expected a complete zst file"):
        read(write(b"no" * 99, "t.tsv.zst"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pyg-advinfonce\[data\]"):
        read(write(content, "t.tsv.zst"))


def test_other_encodings(write):
    for encoding in ("latin-1", "utf-16", "cp1252"):
        path = write(TEXT.replace("10", "Zoë").encode(encoding))
        table = DelimitedTable(path, encoding=encoding)
        (chunk,) = table.chunks(["item"], [], None)
        assert chunk["item"].tolist() == ["Zoë", "20"]
    with pytest.raises(DataError, match=r":2: expected text in UTF-8: .*--encoding"):
        read(write(TEXT.replace("10", "Zoë").encode("latin-1")))
    with pytest.raises(ConfigError, match="unknown encoding 'latin-99'"):
        DelimitedTable(write(TEXT), encoding="latin-99")
    with pytest.raises(ConfigError, match="unknown encoding 'hex'"):
        DelimitedTable(write(TEXT), encoding="hex")
    with pytest.raises(DataError, match=":2: expected text in ascii"):
        DelimitedTable(write(TEXT.replace("10", "Zoë")), encoding="ascii")
