import json

import pandas as pd
import pytest

from pyg_advinfonce.runs import load_run
from pyg_advinfonce.serving import Recommender

SAFE = "--spreadsheet-safe"
WORDS = ["train", "mf", "--epochs", "2", "--set", "model.dim=8", "--quiet"]
SMALL = ["--set", "train.batch_size=16"]


@pytest.fixture
def run(advnce, folder):
    """A trained run of one seed on a table with names."""
    rows = ["user_id,item_id"]
    rows += [f"u{u},i{i}" for u in range(12) for i in range(9) if (u + 2 * i) % 3]
    folder.joinpath("clicks.csv").write_text("\n".join(rows), encoding="utf-8")
    assert advnce(*WORDS, "--data", "clicks.csv", "--out", "run", *SMALL).code == 0
    return folder / "run"


def table_of(run, *arguments, **options):
    return load_run(run, root=run).recommend(*arguments, **options)


def test_a_table_for_a_person(advnce, run):
    found = advnce("recommend", run, "--users", "u3,u11", "-k", 2)
    head, *lines = found.out.splitlines()
    assert head.split() == ["user", "rank", "item", "score"]
    table = table_of(run, ["u3", "u11"], k=2)
    cells = table.assign(score=[f"{x:.4g}" for x in table["score"]]).astype(str)
    assert [line.split() for line in lines] == cells.to_numpy().tolist()
    assert len({line.index(" i") for line in lines}) == 1


def test_similar_items(advnce, run):
    found = advnce("recommend", run, "--like", "i3,i7", "-k", 2)
    head, *lines = found.out.splitlines()
    assert head.split() == ["like", "rank", "item", "score"]
    trained = load_run(run, root=run)
    table = Recommender(trained.method, trained.graph).similar(["i3", "i7"], k=2)
    cells = table.assign(score=[f"{x:.4g}" for x in table["score"]]).astype(str)
    assert [line.split() for line in lines] == cells.to_numpy().tolist()
    again = advnce("recommend", run, "--like", "i3,i7", "-k", 2, "--format", "jsonl")
    rows = [json.loads(line) for line in again.out.splitlines()]
    pd.testing.assert_frame_equal(pd.DataFrame(rows), table, check_dtype=False)


@pytest.mark.parametrize(
    ("flag", "seen"),
    [
        ([], "all"),
        (["--seen", "train"], "train"),
        (["--seen", "none"], "none"),
        (["--include-seen"], "none"),
    ],
)
def test_what_was_seen(advnce, run, flag, seen):
    found = advnce("recommend", run, "--users", "all", "--format", "jsonl", *flag)
    rows = [json.loads(line) for line in found.out.splitlines()]
    expected = table_of(run, seen=seen)
    pd.testing.assert_frame_equal(pd.DataFrame(rows), expected, check_dtype=False)
    number = {"all": 36, "none": 12 * 9}.get(seen)
    assert (36 < len(rows) < 108) if number is None else len(rows) == number


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("by_name", [False, True])
def test_files(advnce, run, folder, kind, by_name):
    name = "lists" if by_name else f"lists.{kind}"
    words = ["--format", kind] if by_name else []
    found = advnce("recommend", run, "--users", "all", "--out", name, *words)
    assert (found.code, found.out, found.err) == (0, f"{name}\n", "")
    read = {
        "csv": pd.read_csv,
        "jsonl": lambda path: pd.read_json(path, lines=True),
        "parquet": pd.read_parquet,
    }
    table = read[kind](folder / name)
    pd.testing.assert_frame_equal(table, table_of(run), check_dtype=False)
    assert not list(folder.glob("*.partial"))


@pytest.mark.filterwarnings("default:-k 21 exceeds")
def test_a_list_of_more_than_all_items_is_a_warning(advnce, run):
    found = advnce("recommend", run, "--users", "u1", "-k", 21)
    assert found.err == "advnce: warning: -k 21 exceeds the number of items, 9\n"
    assert advnce("recommend", run, "--users", "u1").err == ""


def test_csv_is_printed(advnce, run):
    found = advnce("recommend", run, "--users", "u1", "-k", 1, "--format", "csv")
    head, line = found.out.splitlines()
    assert head == "user,rank,item,score"
    assert line.startswith("u1,1,i")


def test_a_new_user(advnce, run):
    found = advnce("recommend", run, "--items", "i1,i2", "--format", "jsonl")
    rows = [json.loads(line) for line in found.out.splitlines()]
    assert {row["user"] for row in rows} == {"new"}
    assert {row["item"] for row in rows} == {
        f"i{i}" for i in range(9) if i not in (1, 2)
    }
    words = ["--items", "i1,i2", "--include-seen", "--format", "jsonl"]
    assert len(advnce("recommend", run, *words).out.splitlines()) == 9


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "expected one of --users ID,ID or --users all, a new user's --items ID,"),
        (["--users", "u1", "--items", "i1"], "expected one of --users"),
        (["--users", "u1", "--like", "i1"], "expected one of --users"),
        (["--users", "u1", "--out", "lists"], "lists has no suffix to choose a format"),
        (["--users", "u1", "--seen", "train", "--include-seen"], "--include-seen can"),
        (["--users", "u1", "--seen", "valid"], "unknown kind of seen items 'valid'"),
        (["--users", ""], "expected comma-separated ids (got none)"),
        (["--users", ","], "expected comma-separated ids (got none)"),
        (["--users", '"u1'], "expected comma-separated ids, got"),
        (["--users", "u1", "-k", 0], "-k must be positive (got 0)"),
        (["--users", "u99"], "unknown user 'u99', did you mean 'u9'?"),
        (["--items", "j1"], "unknown item 'j1': choose from 9 items, e.g. 'i0', 'i1'"),
        (["--users", "u1", "--format", "xml"], "unknown format 'xml'; choose from"),
        (["--users", "u1", "--out", "x.txt"], "unknown format 'txt'; choose from"),
        (
            ["--users", "u1", "--format", "table", "--out", "x"],
            "a table cannot be written",
        ),
        (["--users", "u1", "--format", "parquet"], "parquet cannot be printed"),
        (["--users", "u1", "--out", ".", "--format", "csv"], ". is a folder"),
    ],
)
def test_what_cannot_be_asked(advnce, run, folder, words, said):
    before = sorted(folder.iterdir())
    found = advnce("recommend", run, *words)
    assert found.code == 2
    assert found.line.startswith(said)
    assert sorted(folder.iterdir()) == before


def test_an_id_with_a_comma_is_quoted():
    from pyg_advinfonce.cli._recommend import split_ids

    assert split_ids('a,"b,c",7') == ["a", "b,c", "7"]
    assert split_ids('Ann 1 , "Eve, Jr.", 7 ') == ["Ann 1", "Eve, Jr.", "7"]


def test_an_unknown_id_among_several_may_hold_a_comma(advnce, run):
    found = advnce("recommend", run, "--users", "Eve, Jr.")
    assert (found.code, found.line.startswith("unknown user 'Eve'")) == (2, True)
    assert found.line.endswith(r"""; an id with a comma is quoted: '"Eve, Jr.",Ann'""")
    found = advnce("recommend", run, "--like", "j1")
    assert "comma" not in found.line


def test_several_seeds_are_a_question(advnce, folder):
    advnce(*WORDS, "--loss", "bpr", "--seeds", "0-1", "--out", "run")
    found = advnce("recommend", "run", "--users", "0")
    assert found.code == 2
    assert found.line == (
        "run holds several seeds: choose one of run/seed-0, run/seed-1"
    )
    assert advnce("recommend", "run/seed-1", "--users", "0", "-k", 3).code == 0


def test_no_run(advnce):
    found = advnce("recommend", "nowhere", "--users", "1")
    assert found.line.startswith("nowhere: no such folder in the working directory")


def test_ids_that_look_like_formulas_are_changed_on_request_alone(advnce, folder):
    rows = ["user_id,item_id", *(f"@u{u},-i{i}" for u in range(6) for i in range(8))]
    folder.joinpath("formulas.csv").write_text("\n".join(rows), encoding="utf-8")
    assert advnce(*WORDS, "--data", "formulas.csv", "--out", "odd", *SMALL).code == 0
    words = ["recommend", "odd", "--users", "@u1", "-k", 1, "--include-seen"]
    plain, safe = ([*words, "--format", "csv", *more] for more in ([], [SAFE]))
    assert advnce(*plain).out.splitlines()[1].startswith("@u1,1,-i")
    assert advnce(*safe).out.splitlines()[1].startswith("'@u1,1,'-i")
    found = advnce(*words, SAFE)
    assert found.line == "--spreadsheet-safe is for --format csv (got table)"
