import json
import math
from types import SimpleNamespace

import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.functional import align, uniform
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.training import (
    Callback,
    Diagnostics,
    EpochProgress,
    FalseNegatives,
    HistoryFile,
    Record,
    SplitMetrics,
    Trainer,
)
from pyg_advinfonce.training.callbacks import is_diagnosed
from tests.cases import find, toy_batch, train_pairs
from tests.scorers import Popularity, untrained


def trainer_of(case, graph, *batches, **method):
    pairs = [(graph, batch) for batch in batches]
    last = pairs[-1] if pairs else None
    method = case.method(graph=graph, **method)
    found = SimpleNamespace(method=method, graph=graph, sampler=pairs, last_batch=last)
    found.ran_beside_main = lambda record: record.phases != ["main"]
    return found


def validated(**more):
    return Record(epoch=0, metrics={"valid/recall@20": 0.5}, **more)


def test_a_record_is_flat_and_fit_for_json():
    record = Record(
        epoch=3,
        losses={"main/rec": 1.5},
        metrics={"valid/hr@20": math.nan},
        diagnostics={"delta_min": -math.inf},
        seconds=0.25,
    )
    flat = {
        "epoch": 3,
        "seconds": 0.25,
        "main/rec": 1.5,
        "valid/hr@20": None,
        "delta_min": None,
    }
    assert record.flat() == flat
    assert json.loads(json.dumps(record.flat(), allow_nan=False)) == flat


def test_diagnosed_are_epochs_with_a_validation_or_an_adversary(graph):
    trainer = trainer_of(find("adv"), graph)
    assert is_diagnosed(trainer, validated(phases=["main"]))
    assert is_diagnosed(trainer, Record(epoch=0, phases=["adversary", "main"]))
    assert not is_diagnosed(trainer, Record(epoch=0, phases=["main"]))


def test_the_base_does_nothing(graph, batch):
    assert Callback().on_epoch_end(None, validated()) is None


def test_diagnostics_look_at_the_last_batch(graph, batch):
    trainer, record = (
        trainer_of(find("adv"), graph, toy_batch(seed=9), batch),
        validated(),
    )
    Diagnostics().on_epoch_end(trainer, record)
    z = trainer.method.encoder(graph)
    user, item = z.user[batch.src_index], z.item[batch.dst_pos_index]
    delta = trainer.method.loss.hardness(z.user, z.item, batch)
    expected = {
        "align": align(user, item),
        "uniform": uniform(user) + uniform(item),
        "kl_uniform_p": -delta.mean(),
        "kl_p_uniform": (delta.exp() * delta).mean(),
        "delta_min": delta.min(),
        "delta_max": delta.max(),
    }
    expected = {name: value.item() for name, value in expected.items()}
    assert record.diagnostics == pytest.approx(expected)
    assert all(type(value) is float for value in record.diagnostics.values())


def test_diagnostics_keep_quiet_in_other_epochs(graph, batch):
    record = Record(epoch=0, phases=["main"])
    Diagnostics().on_epoch_end(trainer_of(find("adv"), graph, batch), record)
    assert record.diagnostics == {}


def test_diagnostics_without_a_batch(graph):
    record = validated()
    Diagnostics().on_epoch_end(trainer_of(find("adv"), graph), record)
    assert record.diagnostics == {}


def test_one_edge_has_no_uniformity(graph):
    record = validated()
    trainer = trainer_of(find("bpr"), graph, toy_batch(1, 1))
    Diagnostics().on_epoch_end(trainer, record)
    assert set(record.diagnostics) == {"align"}


def test_diagnostics_hand_layer_0_to_the_hardness(graph, batch):
    trainer, record = trainer_of(find("adv-mlp"), graph, batch), validated()
    Diagnostics().on_epoch_end(trainer, record)
    z = trainer.method.encoder(graph)
    hardness = trainer.method.loss.hardness
    delta = hardness(*z.of_batch(batch))
    assert record.diagnostics["delta_min"] == pytest.approx(delta.min().item())
    assert record.diagnostics["delta_min"] != hardness(z.user, z.item, batch).min()


def likes(user, item):
    """Users like the items of their own parity."""
    return (user + item) % 2 == 0


def test_false_negatives_are_counted_over_all_batches(graph):
    batches = [toy_batch(6, 5, seed) for seed in range(3)]
    trainer, record = trainer_of(find("adv"), graph, *batches), validated()
    FalseNegatives(likes).on_epoch_end(trainer, record)
    soft, soft_false = [], []
    for batch in batches:
        delta = trainer.method.loss.hardness(
            torch.zeros(9, 1), torch.zeros(12, 1), batch
        )
        for b, user in enumerate(batch.src_index.tolist()):
            for k, item in enumerate(batch.dst_neg_index[b].tolist()):
                soft.append(delta[b, k].item() < 0)
                if (user + item) % 2 == 0:
                    soft_false.append(delta[b, k].item() < 0)
    everywhere, among_false = sum(soft) / 90, sum(soft_false) / len(soft_false)
    assert 0 < len(soft_false) < 90
    assert record.diagnostics == pytest.approx(
        {
            "soft_negatives": everywhere,
            "soft_false_negatives": among_false,
            "false_negatives_identified": among_false - everywhere,
        }
    )


@pytest.mark.parametrize("most", [1, 24, 2**20])
def test_false_negatives_among_all_negatives(graph, monkeypatch, most):
    monkeypatch.setattr("pyg_advinfonce.batch.MOST_SCORES", most)
    torch.manual_seed(0)
    sampler = EdgeSampler(graph, batch_size=6, num_negatives="all")
    batches = [batch for _, batch in sampler]
    trainer, record = trainer_of(find("adv"), graph, *batches), validated()
    FalseNegatives(likes).on_epoch_end(trainer, record)
    known, hardness = train_pairs(graph), trainer.method.loss.hardness
    soft, soft_false = [], []
    for batch in batches:
        for user in batch.src_index.tolist():
            items = [j for j in range(12) if j not in known[user]]
            logits = hardness.user[user] @ hardness.item[items].t()
            below = (logits.log_softmax(-1) + math.log(len(items)) < 0).tolist()
            pairs = zip(items, below, strict=True)
            soft += below
            soft_false += [b for j, b in pairs if (user + j) % 2 == 0]
    everywhere = sum(soft) / len(soft)
    among_false = sum(soft_false) / len(soft_false)
    assert record.diagnostics == pytest.approx(
        {
            "soft_negatives": everywhere,
            "soft_false_negatives": among_false,
            "false_negatives_identified": among_false - everywhere,
        }
    )


def encoded(trainer):
    """Record which graphs the encoder of a trainer is given from now on."""
    graphs = []
    trainer.method.encoder.register_forward_pre_hook(lambda m, x: graphs.append(x[0]))
    return graphs


@pytest.mark.parametrize("loss", ["adv", "adv-mlp"])
def test_false_negatives_encode_the_graph_once_for_all_batches(graph, loss):
    batches = [toy_batch(6, 5, seed) for seed in range(3)]
    trainer, record = trainer_of(find(loss), graph, *batches), validated()
    z = trainer.method.encoder(graph, perturb=False)
    graphs = encoded(trainer)
    FalseNegatives(likes).on_epoch_end(trainer, record)
    assert [g is graph for g in graphs] == [True]
    hardness = trainer.method.loss.hardness
    soft = [hardness(*z.of_batch(batch)) < 0 for batch in batches]
    share = torch.cat(soft).double().mean().item()
    assert record.diagnostics["soft_negatives"] == pytest.approx(share)


@pytest.mark.parametrize("loss", ["adv", "adv-mlp"])
def test_false_negatives_of_sampled_graphs_are_those_of_the_whole(graph, loss):
    """A sample's rows are the same edges, of a graph of which a part is missing."""
    whole = toy_batch(6, 5)
    user_ids, item_ids = torch.arange(9).flip(0), torch.arange(12).flip(0)
    sampled = EdgeBatch(
        8 - whole.src_index,
        11 - whole.dst_pos_index,
        11 - whole.dst_neg_index,
        src_n_id=user_ids,
        dst_n_id=item_ids,
    )
    trainer, records = trainer_of(find(loss), graph), [validated(), validated()]
    graphs = encoded(trainer)
    for batch, record in zip((whole, sampled), records, strict=True):
        trainer.sampler = [(HeteroData(), batch)] * 2
        FalseNegatives(likes).on_epoch_end(trainer, record)
    assert records[0].diagnostics == records[1].diagnostics
    assert [g is graph for g in graphs] == [True, True]


def test_where_nothing_is_liked_there_is_no_rate(graph, batch):
    trainer, record = trainer_of(find("adv"), graph, batch), validated()
    FalseNegatives(lambda user, item: item < 0).on_epoch_end(trainer, record)
    assert set(record.diagnostics) == {"soft_negatives"}


@pytest.mark.parametrize("loss", ["bpr", "infonce"])
def test_without_hardness_there_is_nothing_to_count(graph, batch, loss):
    record = validated()
    FalseNegatives(likes).on_epoch_end(trainer_of(find(loss), graph, batch), record)
    assert record.diagnostics == {}


def test_false_negatives_keep_quiet_in_other_epochs(graph, batch):
    record = Record(epoch=0, phases=["main"])
    FalseNegatives(likes).on_epoch_end(trainer_of(find("adv"), graph, batch), record)
    assert record.diagnostics == {}


def test_the_history_file_has_a_line_an_epoch_and_starts_anew(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text("old\n", encoding="utf-8")
    file = HistoryFile(path)
    for epoch in range(3):
        file.on_epoch_end(None, Record(epoch=epoch, losses={"main/rec": math.inf}))
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert lines == [
        {"epoch": epoch, "seconds": 0.0, "main/rec": None} for epoch in range(3)
    ]


def test_callbacks_see_what_the_ones_before_them_recorded(tmp_path, graph):
    sampler = EdgeSampler(graph, batch_size=6, num_negatives=4)
    told = [Diagnostics(), HistoryFile(tmp_path / "h.jsonl")]
    trainer = Trainer(
        find("adv").method(graph=graph),
        graph,
        sampler,
        Evaluator(graph),
        epochs=2,
        eval_every=2,
        callbacks=told,
    )
    trainer.fit()
    text = (tmp_path / "h.jsonl").read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines == [record.flat() for record in trainer.history]
    assert "align" not in lines[0]
    assert {"align", "uniform", "kl_uniform_p"} <= set(lines[1])


def test_watching_does_not_change_the_training(graph):
    found = []
    for callbacks in ([], [Diagnostics(), FalseNegatives(likes)]):
        trainer = Trainer(
            find("rand").method(graph=graph),
            graph,
            EdgeSampler(graph, batch_size=6, num_negatives=4),
            Evaluator(graph),
            epochs=3,
            eval_every=1,
            callbacks=callbacks,
        )
        trainer.fit()
        found.append([(r.losses, r.metrics) for r in trainer.history])
    assert found[0] == found[1]


def watch(graph, record, splits, method=None):
    method = method or find("infonce").method(graph=graph)
    trainer = SimpleNamespace(method=method, graph=graph, evaluator=Evaluator(graph))
    SplitMetrics(splits).on_epoch_end(trainer, record)
    return trainer


def test_other_splits_are_ranked_where_valid_was(graph):
    record = Record(epoch=0, metrics={"valid/recall@20": 0.5})
    trainer = watch(graph, record, ["test"])
    embedded = trainer.method.embed(graph)
    assert record.diagnostics == trainer.evaluator(*embedded, "test")
    assert record.metrics == {"valid/recall@20": 0.5}


def test_other_splits_are_ranked_by_scores(graph):
    record = Record(epoch=0, metrics={"valid/recall@20": 0.5})
    method = untrained(Popularity(graph))
    trainer = watch(graph, record, ["test"], method)
    expected = trainer.evaluator.metrics(method.encoder, "test")
    assert record.diagnostics == expected


def test_other_epochs_are_left_alone(graph):
    record = Record(epoch=0, losses={"adversary/rec": 1.0})
    watch(graph, record, ["test"])
    assert record.diagnostics == {}


class Told(Progress):
    """Keeps what it is told."""

    def __init__(self):
        self.heard = []

    def start(self, label, total=None, *, unit=""):
        self.heard.append((label, total, unit))

    def advance(self, steps=1, note=""):
        self.heard.append((steps, note))

    def within(self, share):
        self.heard.append(share)


def test_progress_is_told_of_epochs_also_where_a_training_goes_on():
    told = Told()
    shown = EpochProgress(told, "seed 3", 10)
    stopping = SimpleNamespace(best_score=0.0, best_epoch=-1, num_bad=0, patience=20)
    phases = [
        SimpleNamespace(name=n, params=p) for n, p in (("adv", []), ("main", None))
    ]
    trainer = SimpleNamespace(stopping=stopping, phases=[(p, None) for p in phases])
    shown.on_epoch_end(trainer, Record(epoch=4))
    shown.on_step(trainer, 0.25)
    stopping.best_score, stopping.best_epoch, stopping.num_bad = 0.5, 4, 3
    losses = {"main/rec": 1.5, "main/l2": 0.25, "adv/rec": 9.0}
    shown.on_epoch_end(trainer, Record(epoch=5, losses=losses))
    assert told.heard == [
        ("seed 3", 10, "epoch"),
        (5, ""),
        0.25,
        (1, "loss 1.7500, best 0.5000 in 4, patience 3/20"),
    ]
