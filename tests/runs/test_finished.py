import json
from contextlib import suppress

import numpy as np
import pytest

from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import CheckpointError, ConfigError, UnknownNameError
from pyg_advinfonce.runs import find_seed, load_per_user, read_run, read_seed
from pyg_advinfonce.runs.finished import save_per_user
from pyg_advinfonce.runs.folder import PER_USER
from tests.finished_seeds import OUTCOME


@pytest.fixture
def write(tmp_path):
    """Write what a seed leaves, and return the run's folder."""

    def write(seed=0, **record):
        folder = tmp_path / f"seed-{seed}"
        folder.mkdir()
        layers = [{"train": {"seed": seed}}]
        Config.resolve("mf", "bpr", "coat", layers=layers).save(folder / "config.toml")
        record = {"metrics": {"test/recall@20": 0.25, "test/mrr@20": None}} | record
        folder.joinpath("metrics.json").write_text(json.dumps(OUTCOME | record))
        return tmp_path

    return write


def test_a_run_is_its_seeds(write):
    for seed in (10, 2):
        run = write(seed)
    found = read_run(run)
    assert [seed.seed for seed in found] == [2, 10]
    assert found[0] == read_seed(run / "seed-2") == read_run(run / "seed-2")[0]
    assert found[0].fingerprint == "coat: sha256 abc"
    assert found[0].value("test/recall@20") == 0.25
    assert found[0].value("test/mrr@20") is None
    assert found[0].value("seconds_per_epoch") == 1.5


def test_an_unknown_metric_gets_a_suggestion(write):
    (seed,) = read_run(write())
    with pytest.raises(UnknownNameError, match="did you mean 'test/recall@20'"):
        seed.value("test/recalls@20")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"metrics": {}}'])
def test_what_is_no_record_of_a_run(write, text):
    run = write()
    run.joinpath("seed-0/metrics.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"metrics\.json is damaged: "):
        read_run(run)


@pytest.mark.parametrize("key", OUTCOME)
def test_a_record_without_one_of_its_keys(write, key):
    file = write() / "seed-0/metrics.json"
    record = json.loads(file.read_text())
    del record[key]
    file.write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match=f"is damaged: it has no '{key}'"):
        read_seed(file.parent)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("metrics", [1], "metrics: input should be"),
        ("metrics", {"test/recall@20": "0.5"}, "metrics.test/recall@20: input"),
        ("metrics", {"test/recall@20": float("nan")}, "metrics.test/recall@20: input"),
        ("best_epoch", "x", "best_epoch: input"),
        ("best_epoch", -2, "best_epoch: input"),
        ("epochs", 10**30, "epochs: input"),
        ("seconds_per_epoch", True, "seconds_per_epoch: input"),
        ("wall_seconds", 1e300, "wall_seconds: input"),
        ("versions", None, "versions: input"),
        ("device", {}, "device: input"),
        ("data", 3, "data: input"),
    ],
)
def test_a_record_with_a_wrong_value(write, key, value, said):
    run = write(**{key: value})
    with pytest.raises(CheckpointError, match=rf"metrics\.json is damaged: {said}"):
        read_run(run)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (['{"epoch": 0}', '{"epoch": 0}'], r":2 is damaged: expected epoch 1 .got 0"),
        (['{"epoch": 0}', '{"epoch": 2}'], r":2 is damaged: expected epoch 1 .got 2"),
        (['{"epoch": 0, "x": "1"}'], ":1 is damaged: x: input should be"),
        (['{"epoch": 0, "x": NaN}'], ":1 is damaged: x: input should be"),
        (['{"x": 1}'], ":1 is damaged: it has no 'epoch'"),
        (['{"epoch": 0}', ""], ":2 is damaged: Invalid JSON"),
    ],
)
def test_a_damaged_history_names_the_line(write, lines, said):
    (seed,) = read_run(write())
    text = "".join(f"{line}\n" for line in lines)
    seed.folder.joinpath("history.jsonl").write_text(text)
    with pytest.raises(CheckpointError, match=rf"history\.jsonl{said}"):
        assert seed.history is None


def test_a_history_is_a_table(write):
    (seed,) = read_run(write())
    lines = '{"epoch": 0, "x": null}\n{"epoch": 1, "x": 2, "y": 1e-3}\n'
    seed.folder.joinpath("history.jsonl").write_text(lines)
    found = seed.history
    assert found.to_dict("list")["epoch"] == [0.0, 1.0]
    assert found["x"].isna().tolist() == [True, False]
    assert found["y"].iloc[1] == 1e-3


def test_a_seed_is_found_by_settings_and_data(write):
    folder = write() / "seed-0"
    config, data = Config.load(folder / "config.toml"), OUTCOME["data"]
    assert find_seed(folder, config, data) == read_seed(folder)
    other = config.updated({"train": {"lr": 0.5}})
    assert find_seed(folder, other, data) is None
    with pytest.raises(CheckpointError, match="was trained on other data"):
        find_seed(folder, config, "coat: sha256 def")
    assert find_seed(folder / "nowhere", config, data) is None


def test_an_unfinished_seed(write):
    run = write()
    run.joinpath("seed-0/metrics.json").unlink()
    with pytest.raises(CheckpointError, match="holds no finished run"):
        read_run(run)


def test_a_damaged_configuration(write):
    run = write()
    run.joinpath("seed-0/config.toml").write_text("x")
    with pytest.raises(ConfigError, match=r"config\.toml: not TOML"):
        read_run(run)


VALUES = {
    "test/user": np.array([2, 5, 9], np.int32),
    "test/recall@20": np.array([0.5, 0.0, 1.0], np.float32),
}


def test_what_was_written_is_read(tmp_path):
    save_per_user(VALUES, tmp_path)
    user, value = load_per_user(tmp_path, "test/recall@20")
    assert user.tolist() == [2, 5, 9]
    assert value.tolist() == [0.5, 0.0, 1.0]


def test_no_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"has no per_user.npz"):
        load_per_user(tmp_path, "test/recall@20")


@pytest.mark.parametrize("metric", ["test/ndcg@20", "valid/recall@20"])
def test_no_such_metric(tmp_path, metric):
    save_per_user(VALUES, tmp_path)
    with pytest.raises(CheckpointError, match=f"has no {metric}"):
        load_per_user(tmp_path, metric)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: b"\xff" * 64 + content[64:],
    ],
    ids=["empty", "truncated", "garbage"],
)
def test_damage(tmp_path, damage):
    save_per_user(VALUES, tmp_path)
    file = tmp_path / PER_USER
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(CheckpointError, match=r"is damaged|has no"):
        load_per_user(tmp_path, "test/recall@20")


def test_any_flipped_byte_is_noticed_or_means_nothing(tmp_path):
    save_per_user(VALUES, tmp_path)
    file = tmp_path / PER_USER
    content = file.read_bytes()
    for place in range(len(content)):
        file.write_bytes(
            content[:place] + bytes([content[place] ^ 0x5A]) + content[place + 1 :]
        )
        with suppress(CheckpointError):
            user, value = load_per_user(tmp_path, "test/recall@20")
            assert (user.tolist(), value.tolist()) == ([2, 5, 9], [0.5, 0.0, 1.0])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("test/user", np.array(["a", "b", "c"])),
        ("test/user", np.array([2.0, 5.0, 9.0])),
        ("test/user", np.array([[2, 5, 9]])),
        ("test/recall@20", np.array([0.5, 0.0])),
        ("test/recall@20", np.array(0.5)),
        ("test/recall@20", np.array([1, 2, 3])),
        ("test/recall@20", np.array([1j, 2, 3])),
    ],
)
def test_values_of_another_form(tmp_path, name, values):
    save_per_user(VALUES | {name: values}, tmp_path)
    with pytest.raises(CheckpointError, match="recall@20 is not one number per user"):
        load_per_user(tmp_path, "test/recall@20")


def test_objects_are_never_loaded(tmp_path):
    np.savez(tmp_path / PER_USER, **{"test/user": np.array([{}], dtype=object)})
    with pytest.raises(CheckpointError, match="is damaged"):
        load_per_user(tmp_path, "test/user")
