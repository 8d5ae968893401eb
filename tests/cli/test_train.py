import gc
import json
import re
import subprocess
import sys
import tomllib
import weakref
from types import SimpleNamespace

import pytest
import torch
from pyg_advinfonce.cli._plan import layers, parse_seeds

from pyg_advinfonce import build as assemble
from pyg_advinfonce import experiment
from pyg_advinfonce import machine as allocator
from pyg_advinfonce.config import Config, config
from pyg_advinfonce.errors import CheckpointError, ConfigError
from pyg_advinfonce.runs import load_per_user

KEYS = [
    *("model", "loss", "data", "seeds", "metrics", "best_epoch", "epochs"),
    *("seconds_per_epoch", "wall_seconds", "peak_rss_mb", "device", "config"),
    "run_dir",
]
METRICS = {
    f"{split}/{name}@20"
    for split in ("valid", "test")
    for name in ("recall", "ndcg", "hr", "precision", "mrr")
}
SMALL = ["--set", "train.batch_size=4"]  # with more negatives than there are items
QUICK = ["train", "mf", "--epochs", "2", "--set", "train.eval_every=1"]


def test_json_is_one_object_and_all_else_is_standard_error(folder):
    run = subprocess.run(
        [sys.executable, "-m", "pyg_advinfonce.cli.main", *QUICK, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.count("\n") == 1
    assert list(json.loads(run.stdout)) == KEYS
    assert re.fullmatch(
        r"data: simulated:coat: .*\nconfig: mf \+ adv: .*\n(device: .*\n)?"
        r"seed 0: valid/recall@20 0\.\d{4} in epoch \d of 0-\d, \d+\.\d s\n",
        run.stderr,
    )


def test_json_of_one_seed(advnce):
    found = advnce(*QUICK, "--seed", 3, "--out", "run", "--json", "--device", "cpu")
    assert found.code == 0
    summary = json.loads(found.out)
    assert list(summary) == KEYS
    named = [summary[key] for key in ("model", "loss", "data", "seeds", "run_dir")]
    assert named == ["mf", "adv", "simulated", [3], "run"]
    assert summary["metrics"].keys() == METRICS
    for value in summary["metrics"].values():
        assert value == {"mean": value["mean"], "std": None, "values": [value["mean"]]}
        assert 0 <= value["mean"] <= 1
    assert summary["best_epoch"] in ([0], [1])
    assert summary["epochs"] == [2]
    assert 0 < summary["seconds_per_epoch"] < summary["wall_seconds"]
    assert summary["peak_rss_mb"] > 10
    assert summary["device"] == "cpu"
    assert summary["config"]["train"]["seed"] == 3


def test_json_of_two_seeds(advnce, folder):
    found = advnce(*QUICK, "--seeds", "4,9", "--out", "run", "--json", "--quiet")
    summary = json.loads(found.out)
    assert (summary["seeds"], found.err) == ([4, 9], "")
    for value in summary["metrics"].values():
        one, other = value["values"]
        assert value["mean"] == pytest.approx((one + other) / 2)
        assert value["std"] == pytest.approx(abs(one - other) / 2**0.5)
    one, other = summary["metrics"]["valid/recall@20"]["values"]
    assert one != other
    assert [len(summary[key]) for key in ("best_epoch", "epochs")] == [2, 2]
    assert {p.name for p in folder.joinpath("run").iterdir()} == {
        *(".advnce", ".lock", "seed-4", "seed-9", "summary.json"),
    }
    assert json.loads(folder.joinpath("run/summary.json").read_text()) == summary


def test_further_metrics_of_the_final_evaluation(advnce, folder):
    assert advnce(*QUICK, "--out", "plain", "--quiet").code == 0
    words = ["--metrics", "gini,arp,snips-ndcg", "--out", "run", "--quiet"]
    found = advnce(*QUICK, *words)
    assert (found.code, "gini@20" in found.out) == (0, True)
    plain, seed = folder / "plain/seed-0", folder / "run/seed-0"
    expected, saved = (
        json.loads((place / "metrics.json").read_text())["metrics"]
        for place in (plain, seed)
    )
    names = ["recall", "ndcg", "hr", "precision", "mrr", "arp", "snips-ndcg", "gini"]
    assert list(saved) == [f"{s}/{n}@20" for s in ("valid", "test") for n in names]
    assert {k: saved[k] for k in expected} == expected
    config = (seed / "config.toml").read_text()
    wanted = 'metrics = [\n    "gini",\n    "arp",\n    "snips-ndcg",\n]\n'
    assert wanted in config
    assert config.replace(wanted, "") == (plain / "config.toml").read_text()
    lines = [(p / "history.jsonl").read_text().splitlines() for p in (plain, seed)]
    epochs = [[json.loads(line).keys() for line in file] for file in lines]
    assert epochs[0] == epochs[1]
    _, values = load_per_user(seed, "test/arp@20")
    assert float(values.mean()) == pytest.approx(saved["test/arp@20"])
    with pytest.raises(CheckpointError, match="has no test/gini@20"):
        load_per_user(seed, "test/gini@20")
    evaluated = advnce("evaluate", "run", "--metrics", "gini,arp", "--json")
    for name, value in json.loads(evaluated.out)["metrics"].items():
        assert value["mean"] == saved[name]
    page = advnce("report", "run")
    assert page.code == 0
    assert "gini@20" in folder.joinpath("run/report.html").read_text("utf-8")


def test_no_such_metric_is_an_error_before_training(advnce, folder):
    for words in (["--metrics", "ginni"], ["--set", "train.metrics=['ginni']"]):
        found = advnce(*QUICK, *words, "--out", "run")
        assert (found.code, "unknown metric 'ginni', did you" in found.line) == (
            2,
            True,
        )
    assert list(folder.iterdir()) == []


def test_one_epoch_has_no_steady_speed(advnce):
    found = advnce("train", "mf", "--loss", "bpr", "--epochs", 1, "--json")
    assert json.loads(found.out)["seconds_per_epoch"] is None


def test_run_folder(advnce, folder):
    summary = json.loads(advnce(*QUICK, "--out", "run", "--json").out)
    seed = folder / "run" / "seed-0"
    assert {p.name for p in seed.iterdir()} == {
        *("config.toml", "history.jsonl", "metrics.json", "weights.safetensors"),
        *("per_user.npz", "state.safetensors", "run.json"),
    }
    saved = json.loads(seed.joinpath("metrics.json").read_text())
    means = {name: value["mean"] for name, value in summary["metrics"].items()}
    assert saved["metrics"] == means
    assert saved["data"].startswith("simulated:coat: 290 users, 295 items")
    for name, mean in means.items():
        users, values = load_per_user(seed, name)
        assert len(set(users.tolist())) == len(values) > 100
        assert float(values.mean()) == pytest.approx(mean)
    history = [
        json.loads(line)
        for line in seed.joinpath("history.jsonl").read_text().splitlines()
    ]
    assert [record["epoch"] for record in history] == [0, 1]
    best = max(record["valid/recall@20"] for record in history)
    assert best == means["valid/recall@20"]
    config = Config.load(seed / "config.toml")
    assert config.model_dump(mode="json", exclude_none=True) == summary["config"]


def test_the_table_for_a_person(advnce):
    found = advnce(*QUICK, "--out", "run", "--device", "cpu")
    assert found.out.startswith(
        "mf + adv on cpu\ndata        simulated:coat: 290 users"
    )
    assert re.search(r"^test +0\.\d{4}", found.out, re.MULTILINE)
    assert found.out.endswith("run         run\nnext        advnce report run\n")
    assert "best epoch  1 of 0-1 " in found.out
    assert "raise --epochs" in found.out


def test_without_matplotlib_the_next_command_shows_the_run(advnce, monkeypatch):
    missing = lambda name: None if name == "matplotlib" else object()  # noqa: E731
    monkeypatch.setattr("pyg_advinfonce.cli._train.find_spec", missing)
    found = advnce(*QUICK, "--out", "run")
    assert found.out.endswith("next        advnce show run\n")


def test_the_next_command_names_the_root_of_the_data(advnce, split_folder):
    path = split_folder()
    words = ["--data", path.name, "--data-root", path.parent, "--out", "run", *SMALL]
    found = advnce("train", "mf", "--loss", "bpr", "--epochs", 1, *words)
    (following,) = (x for x in found.out.splitlines() if x.startswith("next"))
    assert following == f"next        advnce report run --data-root {path.parent}"
    assert advnce(*following.split()[2:]).err == ""


def test_threads(advnce):
    before = torch.get_num_threads()
    try:
        assert advnce(*QUICK, "--threads", before + 1).code == 0
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    assert advnce(*QUICK, "--threads", 0).code == 2


def test_the_same_seed_gives_the_same_bits(advnce, folder):
    for out in ("one", "two"):
        advnce(*QUICK, "--seed", 5, "--out", out)
    one, two = (folder / out / "seed-5" for out in ("one", "two"))
    files = [path / "weights.safetensors" for path in (one, two)]
    assert files[0].read_bytes() == files[1].read_bytes()
    saved = [
        json.loads(path.joinpath("metrics.json").read_text()) for path in (one, two)
    ]
    assert saved[0]["metrics"] == saved[1]["metrics"]


def test_runs_without_out_are_numbered(advnce, folder):
    for _ in range(2):
        assert advnce("train", "mf", "--loss", "bpr", "--epochs", 1).code == 0
    names = sorted(path.name for path in folder.joinpath("runs").iterdir())
    assert names == ["simulated-mf-bpr", "simulated-mf-bpr-2"]


def test_later_settings_win(advnce, folder):
    folder.joinpath("my.toml").write_text(
        "[train]\nepochs = 9\nlr = 0.5\nl2 = 0.25\n", encoding="utf-8"
    )
    words = [
        "--config",
        "my.toml",
        "--set",
        "train.lr=0.125",
        "--set",
        "train.epochs=7",
    ]
    advnce(
        *("train", "mf", "--loss", "bpr", *words, "--epochs", 1, "--seed", 2),
        *("--set", "train.seed=3", "--out", "run"),
    )
    train = tomllib.loads(folder.joinpath("run/seed-2/config.toml").read_text())[
        "train"
    ]
    assert (train["l2"], train["lr"], train["epochs"]) == (0.25, 0.125, 1)
    assert (train["seed"], train["num_negatives"]) == (2, 1)


def test_a_preset_is_saved_by_its_values(advnce, folder):
    words = [*QUICK, "--preset", "faithful", "--set", "loss.schedule=official"]
    summary = json.loads(advnce(*words, "--out", "run", "--json").out)
    saved = tomllib.loads((folder / "run/seed-0/config.toml").read_text("utf-8"))
    assert saved["loss"] == summary["config"]["loss"]
    chosen = {"hardness_l2": 1e-5, "schedule": "official"}
    assert saved["loss"].items() >= chosen.items()
    assert saved["train"]["l2_negatives"]
    assert "faithful" not in str(saved)


def test_a_saved_configuration_trains_again(advnce, folder):
    first = json.loads(advnce(*QUICK, "--out", "one", "--json").out)
    file = folder / "one" / "seed-0" / "config.toml"
    again = json.loads(
        advnce("train", "mf", "--config", file, "--out", "two", "--json").out
    )
    assert again["metrics"] == first["metrics"]
    found = advnce("train", "lightgcn", "--config", file)
    assert found.code == 2
    assert found.line == "the settings name the model 'mf' (expected 'lightgcn')"


def test_a_saved_configuration_names_its_data(
    advnce, folder, split_folder, monkeypatch
):
    split_folder("toy").rename(folder / "toy")
    words = ["train", "mf", "--epochs", 1, "--quiet"]
    assert advnce(*words, *SMALL, "--data", "toy", "--out", "one").code == 0
    again = [*words, "--config", folder / "one/seed-0/config.toml", "--json"]
    assert json.loads(advnce(*again, "--out", "two").out)["data"] == "toy"
    folder.joinpath("elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    found = advnce(*again, "--data", "../toy", "--out", "three")
    assert json.loads(found.out)["config"]["data"]["name"] == "../toy"
    found = advnce(*again, "--data", "simulated")
    assert found.line == "the settings name the data 'toy' (expected 'simulated')"


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("who,what\na,1\n", "set it with --set data.user_col=NAME"),
        ("a,1\nb,2\n", "name the columns with --set data.columns=user,item"),
        ("user,item\na,\n", "drop such rows with --set data.drop_incomplete=true"),
    ],
)
@pytest.mark.parametrize("command", ["train", "tune"])
def test_advice_about_a_table_is_what_the_command_has(
    advnce, folder, command, text, advice
):
    folder.joinpath("own.csv").write_text(text, "utf-8")
    found = advnce(command, "mf", "--data", "own.csv")
    assert found.code == 2
    assert advice in found.line
    assert "(data." not in found.line


def test_advice_with_blanks_is_quoted():
    from pyg_advinfonce.cli.main import as_assignments

    text = (
        "set --positive-if 'stars >= 4' (data.positive_if) or --columns (data.columns)"
    )
    assert as_assignments(text) == (
        "set --set 'data.positive_if=stars >= 4' or data.columns"
    )


def test_a_file_of_settings_that_is_missing(advnce, folder):
    folder.joinpath("mine.toml").touch()
    assert advnce("train", "mf", "--config", "mime.toml").line == (
        f"mime.toml: no such file in the working directory {folder}, did you mean "
        "'mine.toml'?"
    )


UNKNOWN = [
    (["lightgnc"], "unknown model 'lightgnc', did you mean 'lightgcn'?"),
    (["mf", "--loss", "advv"], "unknown loss 'advv', did you mean 'adv'?"),
    (["mf", "--data", "cota"], "unknown data set 'cota', did you mean 'coat'?"),
    (["mf", "--data", "simulated:caot"], "did you mean 'coat'?"),
    (["mf", "--preset", "faithfull"], "'faithfull', did you mean 'faithful'?"),
    (["mf", "--set", "los.tau=1"], "unknown section 'los', did you mean 'loss'?"),
    (["mf", "--track", "tensorbord"], "'tensorbord', did you mean 'tensorboard'?"),
    (["mf", "--set", "loss.tua=1"], "'loss.tua', did you mean 'loss.tau'?"),
    (["mf", "--set", "model.dims=1"], "did you mean 'model.dim'?"),
    (["mf", "--set", "train.epoch=1"], "did you mean 'train.epochs'?"),
    (["mf", "--set", "data.popularity_bais=1"], "did you mean"),
    (["mf", "--set", "model.lr=1"], "unknown key 'model.lr'"),
    (["lightgcn", "--set", "model.lr=1"], "unknown key 'model.lr'"),
    (["mf", "--set", "hardness.kind='mpl'"], "hardness.kind 'mpl', did you mean 'mlp'"),
    (["mf", "--set", "hardness.kind=[1]"], "unknown hardness.kind '[1]'"),
    (["mf", "--set", "hardness.kind=mlp", "--set", "hardness.dmi=1"], "'hardness.dim'"),
]
WRONG = [
    (["mf", "--data", "../../x"], "../../x: no such folder or table"),
    (["mf", "--set", "loss=1"], "--set expects section.key=value, e.g. loss.tau=0.28"),
    (["mf", "--tau", "1"], "; change settings with --set SECTION.tau=VALUE (see"),
    (["mf", "--positive-if", "1"], "with --set data.positive_if=VALUE (see advnce"),
    (["mf", "--set", "train.lr=abc"], "train.lr: "),
    (["mf", "--set", "train.lr=-1"], "train.lr: "),
    (["mf", "--set", 'train.lr="1e-3"'], "train.lr: "),
    (["mf", "--set", "train.lr=nan"], "train.lr: "),
    (["mf", "--set", "train.epochs=1.5"], "train.epochs: "),
    (["mf", "--set", "train.epochs=true"], "train.epochs: "),
    (["mf", "--set", "train.sampling=random"], "train.sampling: "),
    (["mf", "--set", f"train.seed={2**63}"], "train.seed: "),
    (["mf", "--seed", "-1"], "train.seed: "),
    (["mf", "--epochs", "0"], "train.epochs: "),
    (["mf", "--seeds", "4-1"], "--seeds expects"),
    (["mf", "--seed", "1", "--seeds", "1-2"], "--seed and --seeds"),
    (["mf", "--set", "loss.tau=0"], "loss.tau must be positive"),
    (["mf", "--set", "loss.tau=nan"], "loss.tau must be positive"),
    (["mf", "--set", "loss.schedule=daily"], "loss.schedule: "),
    (["mf", "--set", "loss.reverse=2"], "loss.reverse: "),
    (["mf", "--set", "loss.adversary_every=0"], "loss.adversary_every must be"),
    (["mf", "--set", "loss.adversary_epochs=-1"], "loss"),
    (["mf", "--set", "loss.adversary_lr=-1"], "-1"),
    (["mf", "--set", "loss.hardness_l2=-1"], "loss.hardness_l2 must not be negative"),
    (["mf", "--loss", "rand", "--set", "loss.hardness_l2=1"], "loss.hardness_l2 must"),
    (
        ["mf", "--loss", "bpr", "--set", "hardness.kind=mlp"],
        "remove [hardness]",
    ),
    (["mf", "--set", "model.dim=0"], "model.dim must be positive"),
    (["mf", "--set", "model.dim=wide"], "model.dim: "),
    (["mf", "--set", f"model.dim={10**15}"], "training needs at least "),
    (["mf", "--set", "model.alpha=[1, 2]"], "model.alpha needs 1"),
    (
        ["mf", "--set", "model.num_layers=2"],
        "model.num_layers must be 0 for mf (got 2)",
    ),
    (["mf", "--set", "train.num_negatives=0"], "train.num_negatives"),
    (["mf", "--set", "train.batch_size=9999"], "train.batch_size 9999 exceeds"),
    (["mf", "--set", "data.popularity_bias=-1"], "popularity_bias"),
    (["mf", "--device", "warp"], "device 'warp' is not available: choose from cpu"),
    (["mf", "--device", "meta"], "device 'meta' is not available: choose from cpu"),
    (["mf", "--device", "cuda:99"], "device 'cuda:99' is not available"),
    (["mf", "--config", "my.toml"], "my.toml: no such file"),
    (["mf", "--config", "."], "Is a directory"),
    (["mf", "--out", "x" * 300], "File name too long; choose another --out"),
    (["mf", "--out", "/dev/null/run"], "Not a directory; choose another --out"),
]


@pytest.mark.parametrize(("words", "said"), UNKNOWN + WRONG)
def test_bad_input_is_one_line_and_leaves_nothing_behind(advnce, folder, words, said):
    found = advnce("train", *words)
    assert found.code == 2
    assert said in found.line
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("words", [words for words, _ in UNKNOWN[:6]])
def test_an_unknown_name_comes_with_the_known_ones(advnce, words):
    line = advnce("train", *words).line
    assert re.search(r"(choose from|\] has) \w+, \w+", line)


def test_a_tracker_without_its_package_is_named_before_anything_else(
    advnce, folder, monkeypatch
):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    found = advnce("train", "mf", "--data", "nowhere", "--track", "tensorboard")
    assert (found.code, list(folder.iterdir())) == (2, [])
    assert found.line.endswith("pip install 'pyg-advinfonce[track]'")


def test_a_tracker_writes_beside_the_history(advnce, folder):
    pytest.importorskip("tensorboard", reason="needs the extra [track]")
    assert advnce(*QUICK, "--out", "run", "--track", "tensorboard").code == 0
    (events,) = (folder / "run" / "seed-0").glob("events.out.tfevents.*")
    assert events.stat().st_size > 0


def test_a_tracker_has_settings_and_final_metrics(advnce, folder, monkeypatch):
    told, summary = [], {}

    def init(config, name, **options):
        told.append((name, config["train.seed"], config["loss.name"]))
        log = lambda values, step: told.append(step)  # noqa: E731
        finish = lambda: told.append("finish")  # noqa: E731
        return SimpleNamespace(log=log, summary=summary, finish=finish)

    fake = SimpleNamespace(init=init, Settings=dict)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    words = ["train", "mf", "--loss", "bpr", "--epochs", "2", "--seed", "3"]
    assert advnce(*words, "--out", "run", "--track", "wandb").code == 0
    assert told == [("run/seed-3", 3, "bpr"), 0, 1, "finish"]
    metrics = json.loads((folder / "run/seed-3/metrics.json").read_text("utf-8"))
    assert summary == metrics["metrics"]


def test_cuda_that_is_not_there(advnce):
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    found = advnce("train", "mf", "--device", "cuda")
    assert found.code == 2
    assert found.line == "device 'cuda' is not available: choose from cpu"


def test_auto_says_where_it_falls_back(advnce):
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    line = "device: cpu, no CUDA device is available"
    assert line in advnce(*QUICK).err.splitlines()
    assert "device:" not in advnce(*QUICK, "--device", "cpu").err
    assert "device:" not in advnce(*QUICK, "--quiet").err


CODE = "__import__('pathlib').Path('pwned').touch()"


@pytest.mark.parametrize(
    "words",
    [
        ["mf", "--set", f"model.dim={CODE}"],
        ["mf", "--set", f'model.dim="{CODE}"'],
        ["mf", "--set", f"loss.schedule={CODE}"],
        ["mf", "--set", f"hardness.kind={CODE}"],
        ["mf", "--set", f"data.seed={CODE}"],
        ["mf", "--set", f"{CODE}=1"],
        ["mf", "--data", CODE],
        ["mf", "--loss", CODE],
        ["mf", "--seeds", CODE],
        ["mf", "--device", CODE],
        [CODE],
    ],
)
def test_words_are_never_run_as_code(advnce, folder, words):
    found = advnce("train", *words)
    assert found.code == 2
    assert found.line
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("setting", ["train.lr=1e30", "loss.tau=1e-30"])
def test_a_loss_that_is_not_finite_is_a_failure(advnce, setting):
    found = advnce("train", "mf", "--set", setting, "--epochs", 3, "--quiet")
    assert found.code == 1
    assert "loss or gradient became NaN or infinite in phase 'main'" in found.line


def test_out_that_exists(advnce, folder):
    words = ["train", "mf", "--loss", "bpr", "--epochs", 1, "--out", "run"]
    folder.joinpath("run").mkdir()
    assert advnce(*words).code == 0  # an empty folder is as good as none
    before = folder.joinpath("run/summary.json").read_bytes()
    found = advnce(*words)
    assert (found.code, found.line[:10]) == (2, "run exists")
    assert folder.joinpath("run/summary.json").read_bytes() == before
    assert advnce(*words, "--overwrite", "--seed", 1).code == 0
    assert not folder.joinpath("run/seed-0").exists()


def test_bad_input_does_not_cost_the_earlier_run(advnce, folder):
    words = [
        "train",
        "mf",
        "--loss",
        "bpr",
        "--epochs",
        1,
        "--out",
        "run",
        "--overwrite",
    ]
    advnce(*words)
    assert advnce(*words, "--set", "train.batch_size=9999").code == 2
    assert folder.joinpath("run/summary.json").is_file()


def test_foreign_folders_are_never_overwritten(advnce, folder):
    folder.joinpath("mine").mkdir()
    folder.joinpath("mine/thesis.tex").touch()
    found = advnce("train", "mf", "--out", "mine", "--overwrite")
    assert found.code == 2
    assert found.line == "mine is not a run of advnce: it is not overwritten"
    assert folder.joinpath("mine/thesis.tex").is_file()


@pytest.mark.filterwarnings("default:train.batch_size is")
def test_batches_of_little_data_are_small_unless_their_size_is_given(
    advnce, folder, split_folder
):
    data = ["--loss", "bpr", "--data", split_folder()]
    words = ["train", "mf", *data, "--epochs", 1, "--out", "run"]
    found = advnce(*words)
    said = (
        "advnce: warning: train.batch_size is reduced to 2, since the data has 7 train "
        "pairs\n"
    )
    assert (found.code, found.err[: len(said)]) == (0, said)
    assert "train.batch_size=2 " in found.err
    assert Config.load(folder / "run/seed-0/config.toml").train.batch_size == 2
    found = advnce(*words, "--overwrite", "--set", "train.batch_size=8")
    assert (found.code, found.line[:45]) == (
        2,
        "train.batch_size 8 exceeds the 7 train pairs:",
    )


def test_a_folder_of_one_s_own_with_an_odd_name(advnce, folder, split_folder):
    data, out = split_folder("données à moi " + "ü" * 80), "mes essais/été"
    words = ["mf", "--data", data, "--epochs", 1, *SMALL]
    assert advnce("train", *words, "--out", out).code == 0
    assert advnce("train", *words).code == 0
    assert folder.joinpath(out, "seed-0", "weights.safetensors").is_file()
    assert advnce("evaluate", out).code == 0


def test_data_without_valid(advnce, split_folder):
    data = split_folder()
    data.joinpath("valid.txt").unlink()
    words = ["train", "mf", "--data", data, *SMALL]
    assert "--valid-fraction 0.1" in advnce(*words, "--epochs", 1).line
    assert advnce(*words, "--epochs", 1, "--valid-fraction", 0.3).code == 0


def test_a_file_is_no_data_set(advnce, split_folder):
    found = advnce("train", "mf", "--data", split_folder() / "train.txt")
    assert found.code == 2
    assert "is a file: expected" in found.line


def test_malformed_data_is_named_by_file_and_line(advnce, split_folder):
    data = split_folder()
    data.joinpath("train.txt").write_text("0 1\n1 2 x\n", encoding="utf-8")
    found = advnce("train", "mf", "--data", data)
    assert found.code == 2
    assert re.search(r"train\.txt:?.*\b2\b.*'x'", found.line)


@pytest.mark.parametrize("name", ["coat", "yahoo", "kuairec", "tencent"])
def test_data_that_is_not_there(advnce, folder, name):
    found = advnce("train", "lightgcn", "--data", name, "--data-root", "my data")
    assert found.code == 2
    assert f"'{name}' needs train.txt, not found in my data/{name}/raw" in found.line
    assert "put the split files there" in found.line
    assert "published at https://" in found.line
    assert list(folder.iterdir()) == []


def test_seeds_are_trained_one_by_one(advnce, monkeypatch):
    trained, train = [], experiment.train
    monkeypatch.setattr(
        experiment,
        "train",
        lambda config, *args, **more: (
            trained.append((config.train.seed, more["out"].name))
            or train(config, *args, **more)
        ),
    )
    advnce("train", "mf", "--loss", "bpr", "--epochs", 1, "--seeds", "2,0")
    assert trained == [(2, "seed-2"), (0, "seed-0")]


def test_every_seed_is_built_once_and_noted_once(advnce, monkeypatch):
    built, written = [], []
    build, write = assemble.build_method, config.write_text

    def building(settings, *args, **custom):
        built.append(settings.train.seed)
        return build(settings, *args, **custom)

    def writing(path, text):
        written.append(str(path))
        write(path, text)

    monkeypatch.setattr(assemble, "build_method", building)
    monkeypatch.setattr(config, "write_text", writing)
    assert advnce(*QUICK, "--seeds", "2,0", "--out", "run").code == 0
    assert built == [2, 0]
    assert written == ["run/seed-2/config.toml", "run/seed-0/config.toml"]


def test_a_seed_s_trainer_is_let_go_before_the_next_one_s(advnce, monkeypatch):
    methods, alive = weakref.WeakSet(), []
    start = assemble.assemble

    def spy(*args, **more):
        gc.collect()
        alive.append(len(methods))
        trainer = start(*args, **more)
        methods.add(trainer.method)
        return trainer

    monkeypatch.setattr("pyg_advinfonce.cli._train.assemble", spy)
    monkeypatch.setattr("pyg_advinfonce.experiment.assemble", spy)
    assert advnce(*QUICK, "--seeds", "0-2", "--quiet").code == 0
    assert alive == [0, 0, 0]


@pytest.mark.filterwarnings("default:train.batch_size is")
def test_little_data_is_adapted_once_for_all_seeds(advnce, folder, split_folder):
    words = ["train", "mf", "--loss", "bpr", "--data", split_folder(), "--epochs", 2]
    found = advnce(*words, "--seeds", "0-1", "--out", "run")
    assert found.err.count("train.batch_size is reduced to 2") == 1
    folder.joinpath("run/seed-1/metrics.json").unlink()
    found = advnce("train", "--resume", "run", "--json")
    assert found.code == 0, found.err
    assert "batch_size is" not in found.err
    assert json.loads(found.out)["config"]["train"]["batch_size"] == 2


@pytest.mark.parametrize(
    "words",
    [
        QUICK,
        ["tune", "mf", "--loss", "bpr", "--epochs", 1, "--trials", 1],
        ["reproduce", "table10", "--data", "simulated", "--seeds", 0, "--epochs", 1],
    ],
)
def test_verbs_that_train_keep_freed_memory(advnce, monkeypatch, words):
    asked = []
    monkeypatch.setattr(allocator, "keep_freed_memory", lambda: asked.append("once"))
    found = advnce(*words, "--quiet")
    assert (found.code, asked) == (0, ["once"])


NEIGHBORS = ["train", "lightgcn", "--loader", "neighbor", "--num-neighbors"]


@pytest.mark.pyg_lib
def test_a_loader_of_sampled_neighbors(advnce):
    found = advnce(*NEIGHBORS, "3,-1", "--epochs", 1, "--json", "--quiet")
    assert found.code == 0, found.err
    settings = json.loads(found.out)["config"]["train"]
    assert settings["loader"] == "neighbor"
    assert settings["num_neighbors"] == [3, -1]


def test_without_a_sampler_no_data_is_looked_for(advnce, monkeypatch):
    monkeypatch.setattr("pyg_advinfonce.config.config.find_spec", lambda _: None)
    found = advnce(*NEIGHBORS, "20,10", "--data", "coat", "--data-root", "nowhere")
    assert (found.code, found.out) == (2, "")
    assert re.fullmatch(r"advnce: .*needs pyg-lib.*\[sparse\]'\n", found.err)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--num-neighbors", "20;10"], r"expects one number per hop.*\(got '20;10'\)"),
        (["--num-neighbors", ""], "expects one number per hop"),
        (["--num-neighbors", "20,10"], "set --loader neighbor"),
        (["--loader", "nearby"], r"train\.loader: .*'full' or 'neighbor'"),
    ],
)
def test_a_loader_that_cannot_be(advnce, words, message):
    found = advnce("train", "lightgcn", *words)
    assert found.code == 2
    assert re.search(message, found.err)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("3", [3]),
        ("0-4", [0, 1, 2, 3, 4]),
        ("1,3,5", [1, 3, 5]),
        ("7,0-2", [7, 0, 1, 2]),
        ("4-4", [4]),
    ],
)
def test_seeds(text, seeds):
    assert parse_seeds(None, text) == seeds


def test_a_thousand_seeds_are_taken():
    assert parse_seeds(None, "0-999") == list(range(1000))


def test_one_seed():
    assert parse_seeds(3, None) == [3]


def test_no_seed():
    assert parse_seeds(None, None) is None


def test_not_both():
    with pytest.raises(ConfigError, match="both"):
        parse_seeds(0, "0-2")


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "1,,2", "1.5", "0 1", "9" * 40])
def test_what_is_no_list_of_seeds(text):
    with pytest.raises(ConfigError, match="--seeds expects 0-4 or 1,3,5"):
        parse_seeds(None, text)


@pytest.mark.parametrize("text", ["4-1", "1,1", "0-3,2", "0-1000", "0-99999999999"])
def test_seeds_are_different_and_not_too_many(text):
    with pytest.raises(ConfigError, match="1 to 1000 different seeds"):
        parse_seeds(None, text)


def test_flags_are_stronger_than_assignments_and_those_than_the_file(tmp_path):
    file = tmp_path / "my.toml"
    file.write_text("[train]\nepochs = 1\n", encoding="utf-8")
    found = layers(
        file,
        ["train.epochs=2", "train.epochs=3"],
        train={"epochs": 4},
        data={"valid_fraction": 0.5},
    )
    assert [layer.get("train") for layer in found] == [
        {"epochs": 1},
        {"epochs": 2},
        {"epochs": 3},
        {"epochs": 4},
        None,
    ]
    assert found[-1] == {"data": {"valid_fraction": 0.5}}


@pytest.mark.parametrize("model", ["popularity", "itemknn", "ease", "ials"])
def test_a_baseline_has_every_verb(advnce, folder, model):
    words = ["--data", "simulated", "--epochs", 3, "--out", "run", "--json"]
    found = advnce("train", model, *words)
    assert found.code == 0, found.err
    summary = json.loads(found.out)
    assert (summary["model"], summary["loss"]) == (model, "none")
    assert summary["epochs"] == [3 if model == "ials" else 1]
    again = json.loads(advnce("train", "--resume", "run", "--json").out)
    assert again["metrics"] == summary["metrics"]
    listed = advnce("recommend", "run", "--users", "0", "-k", 2)
    assert len(listed.out.splitlines()) == 3, listed.err
    for words in (["evaluate", "run"], ["report", "run"], ["compare", "run", "run"]):
        assert advnce(*words).code == 0
    exported = advnce("export", "run", "--out", "run.npz")
    assert (exported.code == 0) == (model == "ials") == (folder / "run.npz").exists()
