"""KuaiRec from a server to metrics, with train pairs that are made up."""

import json
import re
import shlex
from dataclasses import replace

import pytest

from pyg_advinfonce.datasets import profile
from pyg_advinfonce.datasets.published import CATALOGUE, PublishedFile
from tests.file_server import cut


def test_json_is_one_object(advnce, split_folder):
    path = split_folder()
    found = advnce("data", "describe", path, "--json")
    assert (found.code, found.err) == (0, "")
    assert found.out.count("\n") == 1
    assert json.loads(found.out) == profile(str(path))


def test_a_table_for_a_person(advnce, split_folder):
    path = split_folder()
    path.joinpath("test.txt").write_text("0 3\n2 4\n9 0\n", "utf-8")
    found = advnce("data", "describe", path)
    assert (found.code, found.err) == (0, "")
    rows = {
        line.split()[0]: line.split()[1:]
        for line in found.out.split("\n\n")[1].splitlines()
    }
    assert rows["split"][:2] == ["pairs", "density"]
    assert rows["train"] == ["7", "14.000%", "4", "5", "0", "0", "0"]
    assert rows["test"] == ["3", "6.000%", "3", "3", "1", "0", "0"]
    assert "licence     unknown" in found.out
    assert "no train    6 users, 0 items" in found.out


def test_part_of_a_set(advnce, split_folder):
    path = split_folder()
    path.joinpath("train.txt").unlink()
    found = advnce("data", "describe", path)
    assert found.code == 0
    assert "train       missing" in found.out
    assert "overlaps    valid/test 0" in found.out


def test_a_simulation(advnce):
    assert "simulated: 290 users" in advnce("data", "describe", "simulated").out


def test_a_table_of_ones_own(advnce, folder):
    rows = [f"u{u},i{i}" for u in range(9) for i in range(9)]
    path = folder / "own.csv"
    path.write_text("\n".join(["user,item", *rows, rows[0]]), "utf-8")
    found = advnce("data", "describe", "own.csv")
    assert found.code == 0
    assert found.out.startswith("data        own.csv: 9 users, 9 items")
    assert "duplicates  1 merged" in found.out
    assert profile(str(path))["duplicates_merged"] == 1


def test_a_table_by_the_options_of_split(advnce, folder):
    rows = [f"u{u}|i{i}|{(u + i) % 5}|x" for u in range(9) for i in range(9)]
    folder.joinpath("own.dat").write_text("\n".join(rows), "utf-8")
    words = ["own.dat", "--columns", "who,film,stars,", "--separator", "|"]
    words += ["--user-col", "who", "--item-col", "film", "--positive-if", "stars >= 2"]
    words += ["--min-user", 5]
    found = advnce("data", "describe", *words, "--json")
    assert (found.code, found.err) == (0, "")
    described = json.loads(found.out)
    assert described["data"] == "own.dat"
    made = json.loads(advnce("data", "split", *words, "--out", "out", "--json").out)
    sizes = {name: described[name] for name in ("users", "items", "seen")}
    counts = {n: made["counts"].pop(n) for n in ("train", "valid", "test")}
    assert sizes == made["counts"]
    assert list(described["splits"]) == ["all"]
    assert described["splits"]["all"]["pairs"] == sum(counts.values())
    assert described == profile(
        "own.dat",
        **{"columns": "who,film,stars,", "separator": "|", "user_col": "who"},
        **{"item_col": "film", "positive_if": "stars >= 2", "min_user": 5},
    )


def test_a_table_is_described_without_a_split(advnce, folder):
    text = "user,item,rating,time\na,1,5,1\na,2,3,2\nb,1,4,3\n"
    folder.joinpath("own.csv").write_text(text, "utf-8")
    words = ["data", "describe", "own.csv", "--positive-if", "rating >= 4"]
    found = advnce(*words, "--time-col", "time")
    assert (found.code, found.err) == (0, "")
    assert "\ntrain       not split yet\n" in found.out
    assert "\nall        2  " in found.out
    found = advnce(*words, "--time-col", "rated")
    assert "own.csv:1: expected the column 'rated' of time_col" in found.line


def test_a_name_for_each_column(advnce, folder):
    folder.joinpath("two.csv").write_text("a,1\nb,2\n", "utf-8")
    found = advnce("data", "split", "two.csv", "--columns", "user", "--out", "o")
    assert found.line == (
        "two.csv:1: expected 1 value, the columns user, got 2: 'a,1': name each value, "
        "e.g. --columns user,item (data.columns)"
    )


def test_options_of_a_table_are_none_of_a_folder(advnce, split_folder):
    found = advnce("data", "describe", split_folder(), "--user-col", "who")
    assert found.code == 2
    assert "unknown key 'data.user_col'" in found.line


def test_a_table_that_is_not_there(advnce, folder):
    found = advnce("data", "describe", "no.csv")
    assert (found.code, found.line) == (
        2,
        f"no.csv: no such file in the working directory {folder}",
    )
    found = advnce("data", "describe", "/none/no.csv")
    assert (found.code, found.line) == (2, "/none/no.csv: no such file")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("../../x", "../../x: no such folder or table"),
        ("cota", "unknown data set 'cota', did you mean 'coat'?"),
        ("mime", "unknown data set 'mime', did you mean 'mine'?"),
        ("mine/rating.csv", "mine/rating.csv: no such file in the working directory"),
        ("ratngs.csv", "ratngs.csv: no such file in the working directory"),
        ("", "unknown data set ''"),
    ],
)
def test_what_is_not_there(advnce, folder, data, said):
    for path in ("ratings.csv", "mine/ratings.csv"):
        file = folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_text("user,item\n")
    found = advnce("data", "describe", data)
    assert found.code == 2
    assert found.line.startswith(said)


WORDS = ("data", "fetch", "kuairec", "--data-root", "here")


@pytest.fixture
def server(splits, serve):
    return serve({f"/kuairec2/{name}": text for name, text in splits.items()})


def test_the_folder_is_printed_and_the_rest_is_told(advnce, folder, server, splits):
    found = advnce(*WORDS, "--mirror", server.url)
    assert (found.code, found.out) == (0, "here/kuairec/raw\n")
    assert found.err.splitlines() == [
        "kuairec: CC BY-SA 4.0 (https://kuairec.com)",
        *(f"{name}, {len(text)} bytes" for name, text in splits.items()),
        "kuairec: all files are in here/kuairec/raw and verified",
    ]
    again = advnce(*WORDS, "--offline")
    assert (again.code, again.out) == (0, found.out)
    assert again.err.splitlines()[1:] == [
        "kuairec: all files are in here/kuairec/raw, nothing to download"
    ]


def test_a_bar_on_a_terminal(advnce, folder, server, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    found = advnce(*WORDS, "--mirror", server.url)
    assert found.code == 0
    assert re.search(r"train\.txt: 100%\|.*16\.0/16\.0", found.err)


def test_what_goes_wrong_is_the_last_line(advnce, folder, server, splits):
    server.routes["/kuairec2/train.txt"] = cut(splits["train.txt"])
    found = advnce(*WORDS, "--mirror", server.url)
    assert (found.code, found.out) == (2, "")
    last = found.err.splitlines()[-1]
    assert last.startswith(
        f"advnce: {server.url}/kuairec2/train.txt: expected 16 bytes"
    )
    assert "Traceback" not in found.err


def test_offline(advnce, folder, splits):
    found = advnce(*WORDS, "--offline")
    assert (found.code, found.out) == (2, "")
    last = found.err.splitlines()[-1]
    assert "put into here/kuairec/raw by hand: train.txt valid.txt test_ood.txt" in last
    assert "from https://raw.githubusercontent.com/" in last
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["../../x"], "unknown dataset '../../x'"),
        (["cota"], "did you mean 'coat'?"),
        (["simulated"], "no published files: choose from coat, yahoo"),
        (["yahoo"], "--accept-terms yahoo"),
        (
            ["coat", "--accept-terms", "yahoo"],
            "expected --accept-terms coat, got 'yahoo'",
        ),
        (["kuairec", "--mirror", "http://example.org"], "expected https"),
        (["kuairec", "--mirror", "here"], "expected a URL"),
        (["kuairec", "--insecure", "https://a"], "--insecure expects a host"),
    ],
)
def test_bad_input_is_one_line(advnce, folder, words, said):
    found = advnce("data", "fetch", *words)
    assert found.code == 2
    assert said in found.line
    assert list(folder.iterdir()) == []


def test_terms_are_shown_before_anything_else(advnce, folder):
    found = advnce("data", "fetch", "yahoo", "--accept-terms", "yahoo", "--offline")
    assert found.code == 2
    first, last = found.err.splitlines()
    assert first.startswith("yahoo: provided by Yahoo! Webscope on request")
    assert "copy that you requested yourself" in first
    assert "by hand: test_ood.txt train.txt valid.txt" in last


@pytest.mark.filterwarnings("always:certificate of")
def test_a_host_without_a_trusted_certificate(
    advnce, folder, splits, serve, certificate
):
    routes = {f"/kuairec2/{name}": text for name, text in splits.items()}
    words = [*WORDS, "--mirror", serve(routes, certificate=certificate).url]
    found = advnce(*words)
    assert found.code == 2
    assert "certificate cannot be verified" in found.err.splitlines()[-1]
    assert "put into here/kuairec/raw by hand" in found.err.splitlines()[-1]
    assert advnce(*words, "--insecure", "localhost").code == 2
    found = advnce(*words, "--insecure", "127.0.0.1")
    assert found.code == 0
    assert "advnce: warning: certificate of 127.0.0.1 is not verified" in found.err


def test_every_verb_is_in_the_help_in_full(advnce):
    found = advnce("data", "--help")
    assert (found.code, found.err) == (0, "")
    assert all(f"\n  {verb} " in found.out for verb in ("list", "fetch", "verify"))
    assert "..." not in found.out.split("Commands:")[1]
    assert "--insecure HOST" in advnce("data", "fetch", "--help").out


USERS = 7176
UPSTREAM = "/owner/repository/commit/data"


@pytest.fixture
def upstream(real_data, serve, monkeypatch):
    """A server that plays the place where KuaiRec is published."""
    partial = real_data / "kuairec_partial"
    items = (partial / "not_candidate.txt").read_text().split()
    train = "".join(f"{u} {items[u]} {items[u + 1]}\n" for u in range(USERS)).encode()
    known = CATALOGUE["kuairec"]
    made = replace(
        known,
        num_pairs={**known.num_pairs, "train": 2 * USERS},
        files={**known.files, "train.txt": replace(PublishedFile.of(train), size=None)},
    )
    monkeypatch.setitem(CATALOGUE, "kuairec", made)
    contents = {
        "train.txt": train,
        "valid.txt": (partial / "valid.txt").read_bytes(),
        "test_ood.txt": (partial / "test.txt").read_bytes(),
        "not_candidate.txt": (partial / "not_candidate.txt").read_bytes(),
    }
    return serve({f"{UPSTREAM}/kuairec2/{n}": text for n, text in contents.items()})


def test_fetched_described_trained_and_evaluated(advnce, folder, upstream):
    found = advnce("data", "fetch", "kuairec", "--mirror", upstream.url + UPSTREAM)
    assert (found.code, found.out) == (0, "data/kuairec/raw\n"), found.err
    assert len(upstream.requests) == 4
    assert advnce("data", "verify", "kuairec").code == 0

    profile = json.loads(advnce("data", "describe", "kuairec", "--json").out)
    assert (profile["users"], profile["items"]) == (USERS, 10_728)
    assert profile["candidate_items"] == 3327

    words = ["--epochs", 2, "--set", "train.num_negatives=16", "--out", "run", "--json"]
    found = advnce("train", "lightgcn", "--loss", "adv", "--data", "kuairec", *words)
    assert found.code == 0, found.err
    assert "warning" not in found.err
    trained = json.loads(found.out)["metrics"]
    assert all(0 < value["mean"] < 1 for value in trained.values())
    assert profile["fingerprint"] in found.err

    again = json.loads(advnce("evaluate", "run", "--json").out)["metrics"]
    for name, value in trained.items():
        assert again[name]["mean"] == pytest.approx(value["mean"])


def test_every_published_set_with_its_terms(advnce, folder):
    found = advnce("data", "list")
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert max(map(len, lines)) <= 80
    lines = [line for line in lines if not line.startswith(" ")]
    assert [line.split()[0] for line in lines] == [
        *("coat", "yahoo", "kuairec", "tencent"),
        *("gowalla", "yelp2018", "amazon-book", "lastfm", "amazon-beauty"),
        *("ml-100k", "ml-1m", "ml-20m"),
    ]
    assert lines[0] == "coat           not downloaded (3 files, 12,795 bytes)"
    assert "without train.txt" in lines[2]
    assert "may not be redistributed" in " ".join(found.out.split())


def test_what_is_there(advnce, folder):
    raw = folder / "elsewhere" / "coat" / "raw"
    raw.mkdir(parents=True)
    (raw / "train.txt").write_text("0 1\n")
    found = advnce("data", "list", "--root", "elsewhere")
    assert "coat           1 of 3 files in elsewhere/coat/raw, 4 bytes" in found.out


TABLE = "who;what;stars\n" + "".join(
    f"u{u};{i};{(u + i) % 5 + 1}\n" for u in range(9) for i in range(12)
)
CHOOSE = ["--user-col", "who", "--item-col", "what", "--positive-if", "stars >= 2"]


@pytest.fixture
def table(folder):
    (folder / "my table.csv").write_text(TABLE)
    return "my table.csv"


@pytest.mark.filterwarnings("ignore:train.batch_size is")
def test_split_then_train(advnce, table, folder):
    found = advnce("data", "split", table, "--out", "my split", *CHOOSE)
    assert (found.code, found.err) == (0, "")
    assert found.out.splitlines()[0] == "my split: written"
    command = found.out.splitlines()[-1].removeprefix("next     advnce ")
    assert command == "train lightgcn --data 'my split'"
    again = advnce("data", "split", table, "--out", "my split", *CHOOSE)
    assert again.out.splitlines()[0] == "my split: exists already with the same options"
    trained = advnce(*shlex.split(command), "--epochs", 1, "--json")
    assert trained.code == 0
    assert "test/recall@20" in json.loads(trained.out)["metrics"]


def test_split_in_json_is_one_object(advnce, table):
    found = advnce("data", "split", table, "--out", "out", *CHOOSE, "--json")
    record = json.loads(found.out)
    assert found.out.count("\n") == 1
    assert record["folder"] == "out"
    assert record["is_new"] is True
    assert record["counts"]["users"] == 9


def test_train_on_a_table_itself(advnce, table):
    settings = ["data.user_col=who", "data.item_col=what", "data.positive_if=stars > 1"]
    found = advnce(
        *("train", "mf", "--data", table, "--epochs", 1, "--json", "--out", "run"),
        *(word for text in settings for word in ("--set", text)),
        *("--set", "train.batch_size=4", "--set", "train.num_negatives=2"),
    )
    assert found.code == 0
    assert "data: my table.csv: 9 users, 12 items, " in found.err
    assert json.loads(found.out)["config"]["data"]["user_col"] == "who"
    assert advnce("evaluate", "run", "--json").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--user-col"),
        (["--user-col", "whom"], "found 'who', 'what', 'stars'"),
        ([*CHOOSE, "--split", "tiem"], "did you mean 'time'"),
        ([*CHOOSE, "--split", "time"], "--time-col"),
        ([*CHOOSE, "--gammas", "2"], "no effect"),
        ([*CHOOSE, "--gammas", "2;3"], "numbers like 200,10,2"),
        ([*CHOOSE[:-1], "stars"], "positive_if must be a column"),
        ([*CHOOSE, "--overlap", "no"], "unknown overlap"),
    ],
)
def test_wrong_options_are_one_line(advnce, table, folder, words, said):
    found = advnce("data", "split", table, "--out", "out", *words)
    assert found.code == 2
    assert said in found.line
    assert not (folder / "out").exists()


def test_a_wrong_value_is_one_line_with_its_place(advnce, table, folder):
    (folder / table).write_text(TABLE + "u1;3;many\n")
    found = advnce("data", "split", table, "--out", "out", *CHOOSE)
    assert found.code == 2
    assert found.line.startswith("my table.csv:110:3: expected a finite number")


@pytest.mark.parametrize(
    ("sep", "words"),
    [
        ("::", ["--format", "movielens"]),
        (" ", ["--format", "triples"]),
        ("^", ["--columns", "user,item,rating,time", "--separator", "^"]),
        ("\t", ["--columns", "user,item,,", "--encoding", "latin-1"]),
    ],
)
def test_a_file_without_a_header(advnce, folder, sep, words):
    rows = [(f"Zoë{u}", i, 4, 9 * u + i) for u in range(5) for i in range(5)]
    text = "".join(sep.join(map(str, row)) + "\n" for row in [*rows, (1, 1, 1, "")])
    path = folder / "ratings.dat"
    path.write_bytes(text.encode("latin-1" if "latin-1" in words else "utf-8"))
    if words[-1] == "latin-1":
        words = [*words, "--min-user", "2", "--min-item", "2"]
    else:
        text = text.removesuffix(sep.join(["1", "1", "1", ""]) + "\n")
        path.write_text(text, encoding="utf-8")
        words = [*words, "--positive-if", "rating > 3", "--drop-incomplete"]
    found = advnce("data", "split", path, "--out", "out", *words, "--json")
    assert found.code == 0
    record = json.loads(found.out)
    assert record["rows"]["used"] == 25
    assert record["counts"]["users"] == 5
    again = advnce("data", "split", path, "--out", "out", *words)
    assert "rows     2" in again.out


@pytest.mark.filterwarnings("ignore:.*every row counts as positive")
def test_triples_are_described_by_their_format(advnce, folder):
    lines = [f"{u} {i} 5\n" for u in range(3) for i in range(4)]
    for name, part in {
        "train": lines,
        "valid": ["0 5 5\n"],
        "test": ["1 5 5\n"],
    }.items():
        (folder / f"{name}.txt").write_text("".join(part))
    assert "--format triples" in advnce("data", "describe", ".").line
    found = advnce("data", "describe", ".", "--format", "triples")
    assert found.code == 0
    assert "3 users, 5 items" in found.out
    train = (
        "train",
        "mf",
        "--data",
        ".",
        "--set",
        "data.format=triples",
        "--epochs",
        1,
    )
    settings = ("--set", "train.batch_size=4", "--set", "train.num_negatives=2")
    found = advnce(*train, *settings, "--out", "run", "--json")
    assert found.code == 0
    assert advnce("evaluate", "run", "--json").code == 0


def test_popularity_shift(advnce, table):
    found = advnce(
        *("data", "split", table, "--out", "out", *CHOOSE, "--json"),
        *("--split", "popularity-shift", "--gammas", "3,1", "--num-groups", 3),
        *("--mode", "notebook"),
    )
    splits = {"train", "valid", "test_gamma_3", "test_gamma_1", "seen"}
    assert set(json.loads(found.out)["counts"]) == {*splits, "users", "items"}


def test_simulate(advnce, folder):
    found = advnce("data", "simulate", "--out", "sim", "--popularity-bias", 0.5)
    assert found.code == 0
    assert "train 1,363, valid 553, test 860" in found.out
    assert (folder / "sim" / "split.json").is_file()
    assert (
        "did you mean 'coat'"
        in advnce("data", "simulate", "--out", "x", "--size", "cot").line
    )


def test_without_a_verb_the_help_is_shown_as_an_error(advnce):
    found = advnce("data")
    assert (found.code, found.out) == (2, "")
    assert "split" in found.err
    assert "simulate" in found.err


@pytest.mark.parametrize("verb", ["split", "simulate"])
def test_help_of_a_verb(advnce, verb):
    found = advnce("data", verb, "--help")
    assert (found.code, found.err) == (0, "")
    assert "--overwrite" in found.out


@pytest.fixture
def files(splits, folder):
    path = folder / "data" / "kuairec"
    path.mkdir(parents=True)
    for name, text in splits.items():
        (path / name).write_bytes(text)
    return path


def test_one_line_a_file(advnce, files, splits):
    found = advnce("data", "verify", "kuairec")
    assert (found.code, found.err) == (0, "")
    rows = [line.split() for line in found.out.splitlines()]
    assert [row[:2] for row in rows] == [
        ["ok", f"data/kuairec/{name}:"] for name in splits
    ]
    assert advnce("data", "verify", files).code == 0


def test_exit_code_2_where_a_file_is_not_the_published_one(advnce, files):
    (files / "valid.txt").write_text("0 1\n")
    (files / "train.txt").unlink()
    found = advnce("data", "verify", files)
    assert (found.code, found.err) == (2, "")
    states = [line.split()[0] for line in found.out.splitlines()]
    assert states == ["missing", "differs", "ok"]


def test_nothing_is_there(advnce, folder):
    found = advnce("data", "verify", "coat")
    assert found.code == 2
    assert "`advnce data fetch coat --accept-terms coat`" in found.line
    assert "../../x: no such folder" in advnce("data", "verify", "../../x").line


def test_a_model_without_a_test_split(advnce, folder):
    rows = [f"u{u},i{i}" for u in range(12) for i in range(9) if (u + 2 * i) % 3]
    folder.joinpath("clicks.csv").write_text("\n".join(["user,item", *rows]), "utf-8")
    split = advnce("data", "split", "clicks.csv", "--out", "all", "--test-fraction", 0)
    assert (split.code, split.err) == (0, "")
    assert "train 65, valid 7\n" in split.out
    assert "test_fraction=0" in split.out
    describe = advnce("data", "describe", "all")
    assert (describe.code, describe.err) == (0, "")
    train = ["train", "mf", "--epochs", 2, "--set", "train.batch_size=16", "--quiet"]
    made = advnce(*train, "--data", "all", "--out", "run")
    assert (made.code, made.err) == (0, "")
    assert made.out.count("no test split") == 1
    metrics = json.loads(folder.joinpath("run/summary.json").read_text())["metrics"]
    assert {name.split("/")[0] for name in metrics} == {"valid"}
    in_memory = ["--data", "clicks.csv", "--set", "data.test_fraction=0"]
    assert advnce(*train, *in_memory, "--out", "other").code == 0
    other = json.loads(folder.joinpath("other/summary.json").read_text())["metrics"]
    assert other == metrics
    compared = advnce("compare", "run", "other", "--json")
    assert compared.code == 0
    assert set(json.loads(compared.out)["metrics"]) == {
        "valid/recall@20",
        "valid/ndcg@20",
    }
    tune = ["tune", "mf", "--loss", "bpr", "--trials", 1, *train[2:], "--data", "all"]
    for words in (
        ["evaluate", "run"],
        ["recommend", "run", "--users", "u3"],
        ["export", "run", "--out", "vectors.npz"],
        ["report", "run"],
        [*tune, "--out", "study"],
        ["train", "--resume", "run", "--quiet"],
    ):
        found = advnce(*words)
        assert (found.code, found.err) == (0, ""), words
    assert "valid/recall@20" in folder.joinpath("run/report.html").read_text("utf-8")
    folder.joinpath("all/valid.txt").unlink()
    found = advnce(*train, "--data", "all", "--out", "none")
    assert (found.code, "has no valid.txt" in found.line) == (2, True)


def test_what_needs_a_test_split_says_so(advnce, folder, split_folder):
    path = split_folder("toy")
    path.joinpath("test.txt").unlink()
    found = advnce("reproduce", "fig5", "--data", path, "--out", "figures")
    assert (found.code, "has no test split, which fig5 needs" in found.line) == (
        2,
        True,
    )


@pytest.mark.filterwarnings("ignore:train.batch_size is")
def test_a_benchmark_from_its_server_to_metrics(advnce, folder, serve, monkeypatch):
    texts = {
        "train.txt": b"".join(b"%d 0 1 2 %d \n" % (u, 3 + u % 3) for u in range(9)),
        "test.txt": b"".join(b"%d %d\n" % (u, 6 + u % 2) for u in range(8)) + b"8 \n",
    }
    small = replace(
        CATALOGUE["gowalla"],
        files={name: PublishedFile.of(text) for name, text in texts.items()},
        **{"num_users": 9, "num_items": 8, "num_pairs": {"train": 36, "test": 8}},
    )
    monkeypatch.setitem(CATALOGUE, "gowalla", small)
    known = {"by": "published (test-selected)", "test/recall@20": 0.183}
    monkeypatch.setattr("pyg_advinfonce.cli._train.paper_numbers", lambda _: known)
    server = serve({f"/gowalla/{name}": text for name, text in texts.items()})
    words = ["data", "fetch", "gowalla", "--mirror", server.url]
    assert "--accept-terms gowalla" in advnce(*words).err
    found = advnce(*words, "--accept-terms", "gowalla")
    assert (found.code, found.out) == (0, "data/gowalla/raw\n"), found.err
    assert advnce("data", "verify", "gowalla").code == 0
    assert "36" in advnce("data", "describe", "gowalla").out
    words = ["--loss", "bpr", "--data", "gowalla", "--epochs", "1"]
    found = advnce("train", "lightgcn", *words)
    assert found.code == 0, found.err
    assert "9 users, 8 items, train 32, valid 4, test 8" in found.out
    assert "test, published (test-selected)" in found.out
    assert " 0.1830\n" in found.out
    (folder / "data/gowalla/raw/test.txt").write_bytes(texts["test.txt"] + b"0 1\n")
    assert advnce("data", "verify", "gowalla").code != 0
    assert "restore the published file" in advnce("train", "lightgcn", *words).err
