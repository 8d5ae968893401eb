"""A path may be a text wherever a user passes one."""

import inspect

import pandas as pd
import pytest

from pyg_advinfonce import Config, datasets, load_run, runs, serving, studies, train
from pyg_advinfonce.config import read_toml
from pyg_advinfonce.datasets import published
from pyg_advinfonce.studies import tuning
from pyg_advinfonce.studies.report import write_report
from pyg_advinfonce.training import HistoryFile, TensorBoard, load_weights, save_weights
from tests.finished_seeds import write_run

TAKEN = {
    train: ["out"],
    load_run: ["folder", "root", "cache_dir"],
    Config.save: ["path"],
    Config.load: ["path"],
    Config.load_dataset: ["root", "cache_dir"],
    read_toml: ["path"],
    datasets.load_dataset: ["root", "cache_dir"],
    datasets.InteractionDataset: ["root", "cache_dir"],
    datasets.PublishedDataset: ["root", "cache_dir"],
    datasets.TableDataset: ["path", "cache_dir"],
    datasets.make_split: ["source", "out", "raw"],
    datasets.save_simulated: ["out"],
    datasets.profile: ["root"],
    published.fetch: ["root"],
    published.inventory: ["root"],
    published.verify: ["data", "root"],
    runs.read_run: ["folder"],
    runs.read_seed: ["folder"],
    runs.find_run: ["folder"],
    runs.list_runs: ["root"],
    runs.load_per_user: ["folder"],
    serving.save_lists: ["path"],
    studies.compare_runs: ["folders"],
    tuning.tune: ["folder"],
    write_report: ["folder", "out", "root", "cache_dir"],
    HistoryFile: ["path"],
    TensorBoard: ["folder"],
    save_weights: ["path"],
    load_weights: ["path"],
}


@pytest.mark.parametrize("target", TAKEN, ids=lambda target: target.__qualname__)
def test_a_signature_accepts_a_text(target):
    known = inspect.signature(target).parameters
    for name in TAKEN[target]:
        assert "str" in str(known[name].annotation), name


def test_runs_are_read_by_a_text(tmp_path):
    written = write_run(tmp_path / "one", [0.25])
    write_run(tmp_path / "two", [0.5])
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    assert runs.read_run(one) == written
    assert runs.read_seed(f"{one}/seed-0") == written[0]
    assert runs.find_run(one).num_seeds == 1
    assert [len(found) for found in runs.list_runs(str(tmp_path))] == [2, 0]
    assert len(runs.load_per_user(f"{one}/seed-0", "test/recall@20")[0]) == 40
    assert studies.compare_runs([one, two])["runs"] == [one, two]


def test_files_are_written_to_a_text(tmp_path):
    serving.save_lists([pd.DataFrame({"a": [1]})], str(tmp_path / "a.csv"), "csv")
    assert (tmp_path / "a.csv").read_text() == "a\n1\n"
    found = datasets.save_simulated(str(tmp_path / "sim"))
    data = datasets.load_dataset(str(found.path), cache_dir=str(tmp_path / "cache"))
    folder = datasets.InteractionDataset(
        str(tmp_path), name="sim", cache_dir=str(tmp_path / "cache")
    )
    assert folder.fingerprint.endswith(data.fingerprint[-12:])
    assert next(stock.name for stock in published.inventory(str(tmp_path))) == "coat"
