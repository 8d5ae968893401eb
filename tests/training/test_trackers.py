import json
import sys

import pytest

from pyg_advinfonce.errors import MissingExtraError
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.registry import TRACKERS
from pyg_advinfonce.training import HistoryFile, Record, Tracker, Trainer
from tests import cases


def test_an_event_file_has_every_number_of_the_history(tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra [track]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = TRACKERS["tensorboard"].load()(tmp_path)
    records = [
        Record(0, {"main/rec": 2.0}, {}, {"kl": float("nan")}, 0.25),
        Record(1, {"main/rec": 1.5}, {"valid/recall@20": 0.5}, {}, 0.125),
    ]
    for record in records:
        tracker.on_epoch_end(None, record)
    tracker.close()
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


def test_without_tensorboard_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"pyg-advinfonce\[track\]"):
        TRACKERS["tensorboard"].load()(tmp_path)


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
    graph, tracker, file = cases.toy_graph(), Flaky(last=1), tmp_path / "history.jsonl"
    trainer = Trainer(
        cases.find("adv").method("mf", graph),
        graph,
        EdgeSampler(graph, batch_size=6, num_negatives=4),
        Evaluator(graph),
        epochs=5,
        callbacks=[tracker, HistoryFile(file)],
    )
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
        Tracker().write(Record(epoch=0))
