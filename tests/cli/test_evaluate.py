import json
import pickle

import pytest

from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.experiment import train

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


@pytest.mark.parametrize("path", ["nowhere", "."])
def test_no_run(advnce, path):
    found = advnce("evaluate", path)
    assert found.code == 2
    assert found.line == f"{path} holds no finished run: it has no config.toml"


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
    assert found.line.endswith(f"holds no finished run: it has no {name}")


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
    found = advnce("evaluate", folder / "by-path")
    assert (found.code, found.line) == (
        2,
        f"./toy: no such folder or table in the working directory {elsewhere}: change "
        "to the directory that the path is relative to (cd)",
    )
    found = advnce("evaluate", folder / "by-name")
    assert found.code == 2
    assert found.line.endswith(
        "no folder of that name in data (set another root with --data-root) and none "
        f"in {elsewhere}"
    )
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
