import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from filelock import FileLock

from pyg_advinfonce import experiment
from pyg_advinfonce.config import Config
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.studies.paper import Request, paper_table
from pyg_advinfonce.studies.paper.results import (
    TableRow,
    make_measurements,
    make_seed,
    run_folder,
    stored_seed,
    train_missing,
)
from pyg_advinfonce.training import Callback
from tests.finished_seeds import write_run

RECALL = "test/recall@20"


def measure(folder, data, values):
    """Return the measurement of BPR in Table 4, recall on one data set."""
    table = paper_table("table4").on(data)
    row, config = table.rows[0], Config.resolve("mf", "bpr", data)
    line = TableRow(row, data, config, None, [RECALL], write_run(folder, values))
    base = TableRow(table.rows[1], data, config, None, [RECALL])
    return make_measurements(table, [line, base])[0]


@pytest.mark.parametrize(
    ("data", "mean", "within"),
    [
        ("coat", 0.2782 - 0.01, True),
        ("coat", 0.2782 + 0.01, True),
        ("coat", 0.2782 - 0.0101, False),
        ("yahoo", 0.1189 * 1.03, True),
        ("yahoo", 0.1189 * 0.97, True),
        ("yahoo", 0.1189 * 1.031, False),
        ("yahoo", 0.1189 * 0.969, False),
    ],
)
def test_what_the_paper_allows(tmp_path, data, mean, within):
    found = measure(tmp_path, data, (mean - 0.05, mean + 0.05))
    assert found["within"] is within
    assert found["off"] == pytest.approx(mean / found["paper"] - 1)
    assert found["seeds"] == [0, 1]


def test_what_is_no_number_is_off_the_paper(tmp_path):
    found = measure(tmp_path, "coat", (0.2782, None))
    assert (found["mean"], found["off"], found["within"]) == (None, None, False)


def test_without_a_run_there_is_no_judgement(tmp_path):
    table = paper_table("coat/mf-bpr")
    config = Config.resolve("mf", "bpr", "coat")
    lines = [TableRow(table.rows[0], "coat", config, None, [RECALL])]
    (found,) = make_measurements(table, lines)
    assert (found["within"], found["mean"], found["paper"]) == (None, None, 0.2782)


def test_a_baseline_that_has_not_run_compares_with_nothing(tmp_path):
    found = measure(tmp_path, "coat", (0.2, 0.3))
    assert (found["ratio"], found.get("p_seeds", "none")) == (None, "none")


TOY = {"model": {"dim": 4}, "train": {"batch_size": 4, "epochs": 1, "seed": 3}}
CPU = torch.device("cpu")


@pytest.fixture
def dataset(graph):
    """The toy graph as a data set."""
    return SimpleNamespace(graph=graph, fingerprint="toy", summary=dict)


def configure(**sections):
    return Config.resolve("mf", "bpr", "toy", layers=[TOY, sections])


def test_a_seed_that_was_trained_is_found(tmp_path, dataset):
    config = configure()
    assert stored_seed(tmp_path, config, "toy") is None
    trained = make_seed(tmp_path, config, dataset, device=CPU)
    assert stored_seed(tmp_path, config, "toy") == trained
    assert (trained.seed, trained.folder) == (3, tmp_path / "seed-3")


class Lines(Progress):
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


@pytest.mark.parametrize(
    ("changed", "data", "used"),
    [
        ({}, "toy", True),
        ({}, "label: toy", True),
        ({}, "other", False),
        ({"train": {"seed": 4}}, "toy", False),
        ({"train": {"lr": 0.5}}, "toy", False),
    ],
)
def test_a_finished_seed_of_any_other_run_is_used(
    tmp_path, monkeypatch, dataset, changed, data, used
):
    monkeypatch.chdir(tmp_path)
    dataset.fingerprint = data
    other = Path("runs", "mine", "deep")
    trained = make_seed(other, configure(**changed), dataset, device=CPU)
    dataset.fingerprint, progress = "toy", Lines()
    request = Request("table4", [3], CPU, check=True)
    row = TableRow(paper_table("table4").rows[0], "toy", configure(), dataset, [RECALL])
    train_missing(row, request, progress)
    assert row.seeds == ([trained] if used else [])
    assert (f"{row.name}: finished seeds of {other} are used" in progress.said) == used


@pytest.mark.parametrize(
    ("changed", "data"),
    [({"train": {"seed": 4}}, "toy"), ({"train": {"lr": 0.5}}, "toy"), ({}, "other")],
)
def test_another_seed_setting_or_data_is_another_run(tmp_path, dataset, changed, data):
    make_seed(tmp_path, configure(), dataset, device=CPU)
    assert stored_seed(tmp_path, configure(**changed), data) is None


def test_the_folder_depends_on_settings_and_data_not_on_the_seed(tmp_path):
    base = run_folder(tmp_path, configure(), "toy")
    assert run_folder(tmp_path, configure(train={"seed": 9}), "toy") == base
    others = [
        run_folder(tmp_path, configure(train={"lr": 0.5}), "toy"),
        run_folder(tmp_path, configure(loss={"cosine": True}), "toy"),
        run_folder(tmp_path, configure(), "other"),
    ]
    assert len({base, *others}) == 4
    assert base.parent == tmp_path
    assert base.name.startswith("toy-mf-bpr-")


def test_a_path_is_named_by_its_last_part(tmp_path):
    config = Config.resolve("mf", "bpr", "../../a folder:x")
    found = run_folder(tmp_path, config, "x")
    assert found.parent == tmp_path
    assert found.name.startswith("a-folder-x-mf-bpr-")


@pytest.mark.parametrize("name", ["metrics.json", "config.toml"])
def test_half_a_seed_is_finished(tmp_path, dataset, name):
    config = configure()
    whole = make_seed(tmp_path, config, dataset, device=CPU)
    file = tmp_path / "seed-3" / name
    file.write_text(file.read_text()[:20])
    assert stored_seed(tmp_path, config, "toy") is None
    again = make_seed(tmp_path, config, dataset, device=CPU)
    assert again.outcome.metrics == whole.outcome.metrics


def test_what_was_interrupted_goes_on_where_it_was(tmp_path, dataset):
    class Stop(Callback):
        seen = ()

        def on_epoch_end(self, trainer, record):
            Stop.seen += (record.epoch,)
            if Stop.seen == (0, 1, 2):
                raise KeyboardInterrupt

    config = configure(train={"epochs": 5})
    with pytest.raises(KeyboardInterrupt):
        make_seed(tmp_path, config, dataset, device=CPU, callbacks=[Stop()])
    make_seed(tmp_path, config, dataset, device=CPU, callbacks=[Stop()])
    assert Stop.seen == (0, 1, 2, 2, 3, 4)


def test_a_damaged_state_is_trained_anew(tmp_path, dataset):
    config = configure()
    whole = make_seed(tmp_path, config, dataset, device=CPU)
    seed = tmp_path / "seed-3"
    seed.joinpath("metrics.json").unlink()
    seed.joinpath("state.safetensors").write_bytes(b"half")
    seed.joinpath("stale").touch()
    again = make_seed(tmp_path, config, dataset, device=CPU)
    assert again.outcome.metrics == whole.outcome.metrics
    assert not seed.joinpath("stale").exists()


def test_what_another_process_has_just_trained_is_taken(tmp_path, dataset, monkeypatch):
    config = configure()
    trained = make_seed(tmp_path, config, dataset, device=CPU)
    monkeypatch.setattr(experiment, "train", None)  # a call would be an error
    assert make_seed(tmp_path, config, dataset, device=CPU) == trained


def test_waiting_for_another_process_is_said(tmp_path, dataset):
    lock, said = FileLock(tmp_path / ".seed-3.lock"), []

    class Release(Progress):
        def say(self, text):
            said.append(text)
            lock.release()

    with lock:
        make_seed(tmp_path, configure(), dataset, device=CPU, progress=Release())
    waiting = f"waiting for another process that trains {tmp_path / 'seed-3'} "
    assert said[0].startswith(f"{waiting}(it holds {lock.lock_file};")


def test_an_edited_record_of_other_data_is_not_taken(tmp_path, dataset):
    make_seed(tmp_path, configure(), dataset, device=CPU)
    file = tmp_path / "seed-3" / "metrics.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"data": "other"}))
    assert stored_seed(tmp_path, configure(), "toy") is None
