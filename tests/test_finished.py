import json

import pytest

from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import CheckpointError, ConfigError, UnknownNameError
from pyg_advinfonce.finished import read_run, read_seed


@pytest.fixture
def write(tmp_path):
    """Write what a seed leaves, and return the run's folder."""

    def write(seed=0, **record):
        folder = tmp_path / f"seed-{seed}"
        folder.mkdir()
        layers = [{"train": {"seed": seed}}]
        Config.resolve("mf", "bpr", "coat", layers=layers).save(folder / "config.toml")
        record = {"metrics": {"test/recall@20": 0.25, "test/mrr@20": None}} | record
        record = {"data": "coat: sha256 abc", "seconds_per_epoch": 1.5} | record
        folder.joinpath("metrics.json").write_text(json.dumps(record))
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
