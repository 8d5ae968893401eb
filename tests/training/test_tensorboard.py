import sys

import pytest

from pyg_advinfonce.errors import MissingExtraError
from pyg_advinfonce.registry import TRACKERS
from pyg_advinfonce.training.callbacks import Record


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


def test_without_tensorboard_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.delitem(sys.modules, "pyg_advinfonce.training.tensorboard", False)
    with pytest.raises(MissingExtraError, match=r"pyg-advinfonce\[track\]"):
        TRACKERS["tensorboard"].load()
