import json
import pickle

import pandas as pd
import pytest

from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.experiment import train
from pyg_advinfonce.registry import METRICS

SAVED = ("model.name = 'mf'\n", "loss.name = 'adv'\n", "data.name = 'simulated'\n")
WORDS = ["train", "mf", "--epochs", "2", "--set", "model.dim=8"]


@pytest.fixture
def run(advnce, folder):
    """A trained run of one seed."""
    assert advnce(*WORDS, "--out", "run").code == 0
    return folder / "run"


def saved(run):
    return json.loads(run.joinpath("seed-0/metrics.json").read_text())["metrics"]


def means(text):
    return {k: v["mean"] for k, v in json.loads(text)["metrics"].items()}


@pytest.mark.parametrize(
    "words", [["mf", "adv"], ["lightgcn", "adv-mlp"], ["mf", "bpr"]]
)
def test_a_run_evaluates_to_what_it_has_saved(advnce, folder, words):
    model, loss = words
    advnce("train", model, "--loss", loss, "--epochs", 2, "--out", "run")
    for path in ("run", "run/seed-0"):
        found = advnce("evaluate", path, "--json")
        assert (found.code, found.err) == (0, "")
        evaluated = json.loads(found.out)
        assert evaluated["run_dir"] == path
        assert means(found.out) == saved(folder / "run")
        assert all(v["std"] is None for v in evaluated["metrics"].values())


def test_a_table_for_a_person(advnce, run):
    head, *rows = map(str.split, advnce("evaluate", run).out.splitlines())
    found = {
        f"{split}/{metric}": value
        for split, *values in rows
        for metric, value in zip(head[1:], values, strict=True)
    }
    assert found == {name: f"{value:.4f}" for name, value in saved(run).items()}
    assert [row[0] for row in rows] == ["test", "valid"]


@pytest.mark.filterwarnings("default:-k 1000 exceeds")
def test_a_list_of_more_than_all_items_is_a_warning(advnce, run):
    found = advnce("evaluate", run, "-k", 1000, "-k", 5)
    assert found.err == "advnce: warning: -k 1000 exceeds the number of items, 295\n"


def test_other_lengths(advnce, run):
    found = means(advnce("evaluate", run, "-k", 5, "-k", 20, "--json").out)
    assert {k: v for k, v in found.items() if "@20" in k} == saved(run)
    assert found["test/recall@5"] <= found["test/recall@20"]


@pytest.mark.parametrize("k", [0, -3])
def test_a_list_has_a_length(advnce, run, k):
    found = advnce("evaluate", run, "-k", k)
    assert (found.code, found.line) == (2, f"-k must be positive (got {k})")


def test_no_run(advnce, folder):
    found = advnce("evaluate", "nowhere")
    assert (found.code, found.line) == (
        *(2, f"nowhere: no such folder in the working directory {folder}"),
    )
    assert advnce("evaluate", ".").line == ". is not a run: it has no config.toml"


def test_all_seeds_or_one_of_them(advnce, folder):
    words = ["mf", "--loss", "bpr", "--epochs", 1, "--seeds", "0-1", "--out", "run"]
    trained = json.loads(advnce("train", *words, "--json").out)
    both = advnce("evaluate", "run", "--json")
    assert json.loads(both.out)["metrics"] == trained["metrics"]
    assert " ± " in advnce("evaluate", "run").out
    one = means(advnce("evaluate", "run/seed-1", "--json").out)
    values = {k: v["values"][1] for k, v in trained["metrics"].items()}
    assert one == values


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return type(self.path).touch, (self.path,)


def test_the_payload_would_run(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "pwned")))
    assert tmp_path.joinpath("pwned").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content, _: b"",
        lambda content, _: content[: len(content) // 2],
        lambda content, _: b"\xff" * 64 + content,
        lambda content, _: content + b"\0",
        lambda content, folder: pickle.dumps(Payload(folder / "pwned")),
    ],
    ids=["empty", "truncated", "garbage", "longer", "pickle"],
)
def test_damaged_weights(advnce, run, folder, damage):
    file = run / "seed-0" / "weights.safetensors"
    file.write_bytes(damage(file.read_bytes(), folder))
    found = advnce("evaluate", run)
    assert found.code == 2
    assert "weights.safetensors: not a safetensors file" in found.line
    assert [path.name for path in folder.iterdir()] == ["run"]


def test_weights_of_another_model(advnce, run):
    file = run / "seed-0" / "config.toml"
    file.write_text(file.read_text().replace("dim = 8", "dim = 9"), encoding="utf-8")
    found = advnce("evaluate", run)
    assert found.code == 2
    assert "weights of another model" in found.line


@pytest.mark.parametrize("name", ["config.toml", "weights.safetensors"])
def test_an_unfinished_run(advnce, run, name):
    run.joinpath("seed-0", name).unlink()
    found = advnce("evaluate", run / "seed-0")
    assert found.code == 2
    assert found.line.endswith(f": it has no {name}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{SAVED[0]}{SAVED[1]}", "with [data] name"),
        (f"model.name = 3\n{SAVED[1]}{SAVED[2]}", "with [model] name"),
        ("model = 'mf'\ncriterion = 'adv'\n", "of another version"),
        (
            f"model.name = 'fm'\n{SAVED[1]}{SAVED[2]}",
            "did you mean 'mf'",
        ),
        (
            f"{SAVED[0]}{SAVED[1]}data.name = 'x'\ntrain = 3\n",
            "[train] must be",
        ),
        ("model = ", "not TOML"),
    ],
)
def test_a_damaged_configuration(advnce, run, text, said):
    run.joinpath("seed-0/config.toml").write_text(text, encoding="utf-8")
    found = advnce("evaluate", run)
    assert found.code == 2
    assert "config.toml: " in found.line
    assert said in found.line


def test_the_data_of_a_run_from_elsewhere(
    advnce, folder, split_folder, tmp_path, monkeypatch
):
    split_folder("toy").rename(folder / "toy")
    train = ["train", "mf", "--epochs", 1, "--set", "train.batch_size=4", "--quiet"]
    assert advnce(*train, "--data", "toy", "--out", "by-name").code == 0
    assert advnce(*train, "--data", "./toy", "--out", "by-path").code == 0
    expected = advnce("evaluate", "by-name").out
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert advnce("evaluate", folder / "by-path").out == expected
    assert advnce("evaluate", folder / "by-name").out == expected
    moved = tmp_path / "moved"
    moved.mkdir()
    (folder / "toy").rename(moved / "toy")
    for run, name in (("by-path", "./toy"), ("by-name", "toy")):
        found = advnce("evaluate", folder / run)
        assert (found.code, found.line) == (
            2,
            f"{folder / run / 'seed-0'} was trained on '{name}', which is not in "
            f"{elsewhere} and is not {elsewhere / 'data' / 'toy'} or {folder / 'toy'}: "
            "name the folder that holds it with --data-root DIR",
        )
        found = advnce("evaluate", folder / run, "--data-root", moved)
        assert found.out == expected
    (moved / "toy").rename(folder / "toy")
    by_root = advnce("evaluate", folder / "by-name", "--data-root", folder)
    assert (by_root.code, by_root.out) == (0, expected)
    monkeypatch.setenv("ADVNCE_DATA", str(folder))
    assert advnce("evaluate", folder / "by-name").out == expected


@pytest.mark.filterwarnings("always:omitted")
def test_a_run_on_a_graph_in_memory_says_so(advnce, folder):
    config = Config.resolve("lightgcn", layers=[{"train": {"epochs": 6}}])
    train(config, load_dataset("simulated").graph, out="run", device="cpu")
    for verb in (["evaluate", "run"], ["recommend", "run", "--users", "3"]):
        found = advnce(*verb)
        assert (found.code, "load_run(folder, data=...)" in found.line) == (2, True)
    page = advnce("report", "run")
    assert page.code == 0
    assert "omitted: Hardness by popularity needs the run's data: " in page.err
    text = folder.joinpath("run/report.html").read_text("utf-8")
    assert "lightgcn + adv on data in memory" in text


def test_lengths_with_commas(advnce, run):
    found = advnce("evaluate", run, "-k", "5,20", "--json")
    assert found.out == advnce("evaluate", run, "-k", 5, "-k", 20, "--json").out


@pytest.mark.parametrize("k", ["five", "5,", "5;20", "1.5", ""])
def test_a_length_is_a_number(advnce, run, k):
    found = advnce("evaluate", run, "-k", k)
    assert (found.code, "-k expects list lengths: 5,10,20" in found.line) == (2, True)


def test_metrics_by_name(advnce, run):
    names = ["mrr", "snips-recall", "gini"]
    found = means(advnce("evaluate", run, "--metrics", ",".join(names), "--json").out)
    assert list(found) == [f"{s}/{n}@20" for s in ("valid", "test") for n in names]
    assert found["test/mrr@20"] == saved(run)["test/mrr@20"]
    every = means(advnce("evaluate", run, "--metrics", "all", "--json").out)
    assert len(every) == 2 * len(METRICS)
    assert found.items() <= every.items()
    assert saved(run).items() <= every.items()


def test_one_split(advnce, run):
    found = means(advnce("evaluate", run, "--split", "valid", "--json").out)
    assert found == {k: v for k, v in saved(run).items() if k.startswith("valid/")}
    found = advnce("evaluate", run, "--split", "tset")
    assert (found.code, "no split 'tset'" in found.line) == (2, True)


def test_the_propensity_is_an_option(advnce, run):
    words = ["evaluate", run, "--metrics", "recall,snips-recall", "--json"]
    for option in ("--propensity-power=0", "--propensity-clip=1"):
        found = means(advnce(*words, option).out)
        assert found["test/recall@20"] == found["test/snips-recall@20"]
    found = means(advnce(*words).out)
    assert found["test/recall@20"] != found["test/snips-recall@20"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--metrics", "ginni"], "unknown metric 'ginni', did you mean 'gini'?"),
        (["--metrics", ","], "--metrics expects names: recall,gini or all (got none)"),
        (["--propensity-power", "-1"], "expected --propensity-power of at least 0"),
        (["--propensity-power", "nan"], "expected --propensity-power of at least 0"),
        (["--propensity-power", "inf"], "expected --propensity-power of at least 0"),
        (["--propensity-clip", "0"], "--propensity-clip above 0 and at most 1"),
        (["--data", "coat"], "--data is for --lists: a run knows its data"),
        (["--lists-out", "x.doc"], "unknown format 'doc'"),
        (["--groups-out", "x"], "x has no suffix to choose a format by"),
        (["--lists", "x.csv", "--data", "coat"], "--lists expects their data"),
        (["--lists", "x.csv", "--lists-out", "y.csv"], "--lists cannot be combined"),
    ],
)
def test_wrong_flags(advnce, run, words, said):
    found = advnce("evaluate", run, *words)
    assert (found.code, said in found.line) == (2, True), found.err


def test_nothing_to_evaluate(advnce):
    found = advnce("evaluate")
    assert (found.code, "expected a run, or --lists FILE" in found.line) == (2, True)
    found = advnce("evaluate", "--lists", "x.csv")
    assert (found.code, "--lists expects their data" in found.line) == (2, True)


def test_groups_add_up_to_the_metrics(advnce, run, folder):
    words = ["evaluate", run, "-k", "5,20", "--by-group"]
    shown = advnce(*words, "--groups-out", "groups.csv")
    assert (shown.code, shown.err) == (0, "")
    assert "items by popularity, test, k = 5 (10: the most)" in shown.out
    assert "users by activity, valid, k = 20 (10: the most)" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80
    table = pd.read_csv(folder / "groups.csv")
    sizes = table.groupby(["split", "k", "group"])["members"].agg(["size", "sum"])
    assert set(sizes["size"]) == {10}
    items = sizes.xs("item", level="group")
    assert set(items["sum"]) == {295}
    listed = table.groupby(["split", "k", "group"])["listed"].sum().unstack()
    assert (listed["item"] == listed["user"]).all()
    users = table[table["group"] == "user"]
    sums = (users["recall"] * users["members"]).groupby(
        [users["split"], users["k"]]
    ).sum() / users.groupby(["split", "k"])["members"].sum()
    assert sums["test", 20] == pytest.approx(saved(run)["test/recall@20"])
    rows = json.loads(advnce(*words, "--json").out)["groups"]
    pd.testing.assert_frame_equal(pd.DataFrame(rows), table, check_dtype=False)


def test_groups_are_averaged_over_seeds(advnce, folder):
    words = ["mf", "--loss", "bpr", "--epochs", 1, "--seeds", "0-1", "--out", "run"]
    advnce("train", *words)
    tables = []
    for path in ("run", "run/seed-0", "run/seed-1"):
        advnce("evaluate", path, "--groups-out", "groups.jsonl")
        tables.append(pd.read_json(folder / "groups.jsonl", lines=True))
    both, one, other = (
        table.set_index(["split", "group", "decile"]) for table in tables
    )
    assert not one["listed"].equals(other["listed"])
    pd.testing.assert_frame_equal(both, (one + other) / 2, check_dtype=False)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_lists_that_were_written_evaluate_to_the_last_digit(advnce, run, suffix):
    words = ["-k", "5,20", "--metrics", "all", "--json"]
    found = advnce("evaluate", run, "--lists-out", f"lists.{suffix}", *words)
    expected = json.loads(found.out)["metrics"]
    for data in (["--data", "simulated"], [run]):
        found = advnce("evaluate", "--lists", f"lists.{suffix}", *data, *words)
        assert (found.code, found.err) == (0, "")
        assert json.loads(found.out) == {
            "run_dir": f"lists.{suffix}",
            "metrics": expected,
        }


def test_lists_by_score_and_without_a_split(advnce, run, folder):
    expected = json.loads(advnce("evaluate", run, "--lists-out", "a.csv", "--json").out)
    table = pd.read_csv(folder / "a.csv").query("split == 'test'")
    assert list(table) == ["split", "user", "rank", "item", "score"]
    other = table.drop(columns=["split", "rank"]).sample(frac=1, random_state=0)
    other.rename(columns={"user": "user_id"}).to_csv(folder / "b.tsv", sep="\t")
    found = advnce("evaluate", "--lists", "b.tsv", "--data", "simulated", "--json")
    assert found.code == 0, found.err
    assert json.loads(found.out)["metrics"] == {
        k: v for k, v in expected["metrics"].items() if k.startswith("test/")
    }


def test_lists_of_other_frameworks_obey_our_masks(advnce, split_folder, folder):
    split_folder("toy").rename(folder / "toy")
    rows = "user,rank,item\n0,1,0\n0,2,2\n0,3,4\n0,4,3\n2,1,4\n7,1,0\n"
    folder.joinpath("lists.csv").write_text(rows.replace("7,1,0\n", ""), "utf-8")
    words = ["evaluate", "--lists", "lists.csv", "--data", "./toy", "--json"]
    found = means(advnce(*words, "-k", "1,2", "--metrics", "recall,mrr").out)
    assert found == {
        "test/recall@1": 0.5,  # user 0 knows 0 and 2, and gets 4 before 3
        "test/mrr@1": 0.5,
        "test/recall@2": 1.0,
        "test/mrr@2": 0.75,
    }
    found = means(advnce(*words, "--split", "valid", "--metrics", "recall").out)
    assert found == {"valid/recall@20": 0.5}  # 2 of user 0; user 1 has no list
    folder.joinpath("lists.csv").write_text(rows, "utf-8")
    found = advnce(*words)
    assert (found.code, "lists.csv: unknown user '7'" in found.line) == (2, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "user,item\n0,1\n",
            "lists.csv:1: expected columns user, item and rank or score",
        ),
        ("user,item,rank\n0,999,1\n", "lists.csv: unknown item '999'"),
        ("user,item,rank\n0,1,1\n0,1,2\n", "user '0' has item '1' twice"),
        ("user,item,rank\n,1,1\n0,1,2\n", "lists.csv: unknown user"),
        ("user,item,rank\n0,1,first\n", "lists.csv:2:"),
        (
            "split,user,item,rank\nnone,0,1,1\n",
            "expected splits valid, test (got 'none')",
        ),
        ("", "lists.csv"),
    ],
)
def test_wrong_lists(advnce, folder, text, said):
    folder.joinpath("lists.csv").write_text(text, "utf-8")
    found = advnce("evaluate", "--lists", "lists.csv", "--data", "simulated")
    assert (found.code, said in found.line) == (2, True), found.err


def test_lists_with_a_missing_id(advnce, folder):
    rows = '{"user":0,"item":1,"rank":1}\n{"user":0,"rank":2}\n'
    folder.joinpath("lists.jsonl").write_text(rows, "utf-8")
    found = advnce("evaluate", "--lists", "lists.jsonl", "--data", "simulated")
    assert (found.code, "unknown item 'nan'" in found.line) == (2, True), found.err


@pytest.mark.filterwarnings("default:no pair of valid")
def test_lists_of_another_split_only(advnce, folder):
    text = "split,user,item,rank\nvalid,0,1,1\n"
    folder.joinpath("lists.csv").write_text(text, "utf-8")
    words = ["evaluate", "--lists", "lists.csv", "--data", "simulated"]
    assert set(advnce(*words).out.split()[1:]) >= {"valid"}
    found = advnce(*words, "--split", "test")
    assert "expected lists of split 'test', found none" in found.line


@pytest.mark.filterwarnings("default:no pair of test")
def test_lists_without_a_held_out_pair_are_a_warning(advnce, run):
    advnce("recommend", run, "--users", "all", "--out", "lists.csv")
    found = advnce("evaluate", "--lists", "lists.csv", run)
    assert found.code == 0
    assert found.err.startswith("advnce: warning: no pair of test is in these lists:")
    assert "--seen train" in found.err
    words = ["--users", "all", "--out", "lists.csv", "--seen", "train"]
    advnce("recommend", run, *words)
    found = advnce("evaluate", "--lists", "lists.csv", run)
    assert (found.code, found.err) == (0, "")


def test_lists_of_one_seed(advnce):
    words = ["mf", "--loss", "bpr", "--epochs", 1, "--seeds", "0-1", "--out", "run"]
    advnce("train", *words)
    found = advnce("evaluate", "run", "--lists-out", "lists.csv")
    assert (found.code, "choose one of seed-0, seed-1 in run" in found.line) == (
        2,
        True,
    )
