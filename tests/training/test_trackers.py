import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pyg_advinfonce.errors import MissingExtraError
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.registry import TRACKERS
from pyg_advinfonce.training import HistoryFile, Record, Tracker, Trainer
from tests import cases

RECORDS = [
    Record(0, {"main/rec": 2.0}, {}, {"kl": float("nan")}, 0.25),
    Record(1, {"main/rec": 1.5}, {"valid/recall@20": 0.5}, {}, 0.125),
]


# Services warn of what their dependencies deprecate; has_failed shows real failures.
theirs = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """Keep the files and runs of all trackers in the temporary folder."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / "wandb"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tmp_path.joinpath("mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a data base takes a minute
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    return tmp_path


def installed(name):
    """Return the tracker's class, or skip the test."""
    return pytest.importorskip(name) and TRACKERS[name].load()


def trainer_with(callbacks, epochs=5):
    graph = cases.toy_graph()
    torch.manual_seed(0)
    return Trainer(
        cases.find("adv").method("mf", graph),
        graph,
        EdgeSampler(graph, batch_size=6, num_negatives=4),
        Evaluator(graph),
        epochs=epochs,
        callbacks=callbacks,
    )


@theirs
@pytest.mark.parametrize("name", TRACKERS)
def test_training_is_bit_identical_with_a_tracker(name, offline):
    tracker = installed(name)(offline / "run" / "seed-0", {"train.lr": 0.1})
    offline.joinpath("run/seed-0").mkdir(parents=True)
    plain, tracked = trainer_with([]), trainer_with([tracker])
    assert plain.fit() == tracked.fit()
    tracker.on_result({"test/recall@20": 0.5})
    tracker.close()
    assert (tracker.has_begun, tracker.has_failed) == (True, False)
    states = plain.method.state_dict(), tracked.method.state_dict()
    assert all(torch.equal(states[1][key], t) for key, t in states[0].items())


def track(tracker, records=RECORDS, result=None):
    for record in records:
        tracker.on_epoch_end(None, record)
    tracker.on_result(result or {})
    tracker.close()
    assert not tracker.has_failed


@theirs
def test_mlflow_has_settings_history_and_result(offline):
    tracker = installed("mlflow")(offline / "seed-0", {"train.lr": 0.1})
    offline.joinpath("seed-0").mkdir()
    track(tracker, result={"test/recall@20": 0.25, "test/ndcg@20": None})
    import mlflow

    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("pyg_advinfonce")
    [run] = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == f"{offline.name}/seed-0"
    assert run.info.status == "FINISHED"
    assert run.data.params == {"train.lr": "0.1"}
    assert set(run.data.metrics) == {
        *("main/rec", "seconds", "valid/recall_at_20", "best/test/recall_at_20")
    }
    history = client.get_metric_history(run.info.run_id, "main/rec")
    assert [(point.step, point.value) for point in history] == [(0, 2.0), (1, 1.5)]
    assert run.data.metrics["best/test/recall_at_20"] == 0.25


@theirs
def test_mlflow_goes_on_with_a_resumed_run(offline):
    make, folder = installed("mlflow"), offline / "seed-0"
    folder.mkdir()
    track(make(folder), RECORDS[:1])
    track(make(folder), RECORDS[1:])  # resumed: its first epoch is not 0
    track(make(folder), RECORDS)  # begun again
    import mlflow

    client = mlflow.MlflowClient()
    place = client.get_experiment_by_name("pyg_advinfonce").experiment_id
    runs = client.search_runs([place], order_by=["attributes.start_time"])
    rows = [client.get_metric_history(r.info.run_id, "main/rec") for r in runs]
    assert [[point.step for point in row] for row in rows] == [[0, 1], [0, 1]]


@theirs
def test_wandb_writes_a_run_without_a_network(offline):
    tracker = installed("wandb")(offline / "seed-0", {"train.lr": 0.1})
    offline.joinpath("seed-0").mkdir()
    track(tracker, result={"test/recall@20": 0.25})
    [file] = offline.glob("seed-0/wandb/offline-run-*/*.wandb")
    ends = time.monotonic() + 20
    while b"test/recall@20" not in (content := file.read_bytes()):
        assert time.monotonic() < ends, "the service has written nothing"
        time.sleep(0.1)
    for name in ("main/rec", "valid/recall@20", "test/recall@20", "train.lr"):
        assert name.encode() in content
    assert b"1.5" in content
    run_id = offline.joinpath("seed-0/wandb.id").read_text("utf-8")
    assert file.name == f"run-{run_id}.wandb"


def test_what_wandb_is_told(tmp_path, monkeypatch):
    begun, told, summary = [], [], {}

    def init(**options):
        begun.append(options)
        finish = lambda: told.append("finish")  # noqa: E731
        log = lambda values, step: told.append((step, values))  # noqa: E731
        return SimpleNamespace(log=log, summary=summary, finish=finish)

    fake = SimpleNamespace(init=init, Settings=dict)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    make = TRACKERS["wandb"].load()
    track(make(tmp_path, {"train.lr": 0.1}), result={"test/recall@20": 0.25})
    assert told == [
        (0, {"seconds": 0.25, "main/rec": 2.0}),
        (1, {"seconds": 0.125, "main/rec": 1.5, "valid/recall@20": 0.5}),
        "finish",
    ]
    assert summary == {"test/recall@20": 0.25}
    assert begun[0]["project"] == "mine"
    assert begun[0]["config"] == {"train.lr": 0.1}
    track(make(tmp_path), RECORDS[1:])  # resumed
    track(make(tmp_path), RECORDS)  # begun again
    first, second, third = (options["id"] for options in begun)
    assert first == second != third


def test_a_service_that_cannot_be_reached_is_a_warning(tmp_path, monkeypatch):
    def init(**options):
        raise ConnectionError("no route to host")

    fake = SimpleNamespace(init=init, Settings=dict)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    tracker = TRACKERS["wandb"].load()(tmp_path)
    trainer = trainer_with([tracker])
    with pytest.warns(UserWarning, match="WandB failed in epoch 0 and is") as caught:
        trainer.fit()
    tracker.on_result({"test/recall@20": 0.5})
    tracker.close()
    assert (len(caught), len(trainer.history)) == (1, 5)


def test_without_an_epoch_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace())
    tracker = TRACKERS["wandb"].load()(tmp_path)
    tracker.on_result({"test/recall@20": 0.5})
    tracker.close()
    assert not tracker.has_failed
    assert list(tmp_path.iterdir()) == []


def test_an_event_file_has_every_number_of_the_history(tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra [track]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = TRACKERS["tensorboard"].load()(tmp_path)
    track(tracker)
    events = EventAccumulator(str(tmp_path)).Reload()
    found = {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }
    assert found == {
        "main/rec": [(0, 2.0), (1, 1.5)],
        "valid/recall@20": [(1, 0.5)],
        "seconds": [(0, 0.25), (1, 0.125)],
    }


@pytest.mark.parametrize(
    ("name", "extra"),
    [("tensorboard", "track"), ("wandb", "wandb"), ("mlflow", "mlflow")],
)
def test_without_its_package_the_extra_is_named(tmp_path, monkeypatch, name, extra):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=rf"pyg-advinfonce\[{extra}\]"):
        TRACKERS[name].load()(tmp_path)


class Flaky(Tracker):
    """A tracker whose service is gone from some epoch on."""

    def __init__(self, last):
        self.last, self.written = last, []

    def write(self, record):
        if record.epoch > self.last:
            raise ConnectionError("no route to host")
        self.written.append(record.epoch)

    def release(self):
        if self.has_failed:
            raise ConnectionError("still no route to host")


def test_a_tracker_that_fails_warns_once_and_training_continues(tmp_path):
    tracker, file = Flaky(last=1), tmp_path / "history.jsonl"
    trainer = trainer_with([tracker, HistoryFile(file)])
    said = r"^Flaky failed in epoch 2 and is disabled .* ConnectionError: no route"
    with pytest.warns(UserWarning, match=said) as caught:
        trainer.fit()
    tracker.close()  # has been said
    assert len(caught) == 1
    assert tracker.written == [0, 1]
    lines = file.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [0, 1, 2, 3, 4]


def test_one_that_cannot_be_closed_warns_too():
    tracker = Flaky(last=9)
    tracker.on_epoch_end(None, Record(epoch=0))
    tracker.release = lambda: 1 / 0
    with pytest.warns(UserWarning, match="Flaky failed at the end .* ZeroDivision"):
        tracker.close()


def test_ctrl_c_passes():
    tracker = Flaky(last=9)

    def interrupt(record):
        raise KeyboardInterrupt

    tracker.write = interrupt
    with pytest.raises(KeyboardInterrupt):
        tracker.on_epoch_end(None, Record(epoch=0))


def test_the_base_writes_nothing():
    with pytest.raises(NotImplementedError, match="Tracker has no write"):
        Tracker(Path()).write(Record(epoch=0))
