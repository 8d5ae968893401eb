from types import SimpleNamespace

from pyg_advinfonce.training import Evaluator
from pyg_advinfonce.training.callbacks import Record
from pyg_advinfonce.training.split_metrics import SplitMetrics
from tests.cases import find


def watch(graph, record, splits):
    method = find("infonce").method(graph=graph)
    trainer = SimpleNamespace(method=method, graph=graph, evaluator=Evaluator(graph))
    SplitMetrics(splits).on_epoch_end(trainer, record)
    return trainer


def test_other_splits_are_ranked_where_valid_was(graph):
    record = Record(epoch=0, metrics={"valid/recall@20": 0.5})
    trainer = watch(graph, record, ["test"])
    embedded = trainer.method.embed(graph)
    assert record.diagnostics == trainer.evaluator(*embedded, "test")
    assert record.metrics == {"valid/recall@20": 0.5}


def test_other_epochs_are_left_alone(graph):
    record = Record(epoch=0, losses={"adversary/rec": 1.0})
    watch(graph, record, ["test"])
    assert record.diagnostics == {}
