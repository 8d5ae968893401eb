"""No tensor is made on a device left to chance: checked for all without a GPU."""

from importlib import import_module

import pytest
import torch

from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.objective import Step
from pyg_advinfonce.ops import adjacency
from pyg_advinfonce.training import Diagnostics, Record
from pyg_advinfonce.transforms import EdgeDrop, NodeDrop, RandomWalkDrop
from tests import cases
from tests.cases import CASES, FIRST, PAIRS, find
from tests.device_mode import DeviceIsNamed

# Every model with its losses, and every option of a loss with one model.
every_pair = pytest.mark.parametrize(
    ("model", "case"),
    [*PAIRS, *((case.model, case) for case in CASES if case not in FIRST)],
    ids=lambda value: getattr(value, "id", value),
)


@pytest.fixture(autouse=True)
def _nothing_cached():
    """What is computed once a process shall be computed under watch."""
    adjacency.silence_sparse_beta.cache_clear()
    import_module("pyg_advinfonce.ops.edge_scores")._fused_works.cache_clear()


@every_pair
def test_every_tensor_of_a_step_is_made_on_a_named_device(graph, model, case):
    method = case.method(model, graph)
    sampler = EdgeSampler(graph, batch_size=6, num_negatives=4)
    with DeviceIsNamed():
        for phase in method.phases:
            phase.objective.on_epoch_start(method.encoder, graph, 0)
            for index, (view, batch) in enumerate(sampler):
                parts = phase.objective(Step(method.encoder, view, batch, 0, index))
                torch.stack(list(parts.values())).sum().backward()
    assert all(p.grad is not None for p in method.parameters())


@every_pair
def test_every_tensor_of_an_evaluation_is_made_on_a_named_device(graph, model, case):
    method, evaluator = case.method(model, graph), Evaluator(graph, k=[2, 20])
    trainer = Watched(method, (graph, cases.toy_batch()))
    record = Record(epoch=0, metrics={"valid/recall@20": 0.0})
    with DeviceIsNamed():
        z_user, z_item = method.embed(graph)
        for split in ("valid", "test", "train"):
            evaluator(z_user, z_item, split)
        Diagnostics().on_epoch_end(trainer, record)
    assert "align" in record.diagnostics


class Watched:
    def __init__(self, method, last_batch):
        self.method, self.last_batch = method, last_batch


@pytest.mark.parametrize("sampling", ["user", "interaction"])
@pytest.mark.parametrize("num_negatives", [0, 1, 4])
@pytest.mark.parametrize("exclude_positives", [True, False])
def test_every_tensor_of_a_sampler_is_made_on_a_named_device(
    graph, sampling, num_negatives, exclude_positives
):
    with DeviceIsNamed():
        sampler = EdgeSampler(
            graph,
            batch_size=6,
            num_negatives=num_negatives,
            sampling=sampling,
            exclude_positives=exclude_positives,
        )
        for _, batch in sampler:
            batch.mask_pairs(graph["user", "interacts", "item"].edge_index)


@pytest.mark.parametrize("most", [24, 2**20])
@pytest.mark.parametrize("exclude_positives", [True, False])
@pytest.mark.parametrize("loss", ["adv", "adv-mlp", "rand", "ccl"])
def test_every_tensor_over_all_negatives_is_made_on_a_named_device(
    graph, loss, exclude_positives, most, monkeypatch
):
    monkeypatch.setattr("pyg_advinfonce.batch.MOST_SCORES", most)
    criterion, tables = find(loss).build(), cases.toy_tables(torch.float32)
    options = {"num_negatives": "all", "exclude_positives": exclude_positives}
    with DeviceIsNamed():
        for _, batch in EdgeSampler(graph, batch_size=6, **options):
            criterion.over_all_negatives(*tables, batch).backward()
            criterion.diagnostics(*tables, batch)


def test_every_tensor_of_the_normalisation_is_made_on_a_named_device(graph):
    with DeviceIsNamed():
        cases.BipartiteNorm()(graph)


@pytest.mark.parametrize("thin", [EdgeDrop(0.3), NodeDrop(0.3), RandomWalkDrop(0.3, 2)])
def test_every_tensor_of_a_view_is_made_on_a_named_device(graph, thin):
    edges = graph["item", "rev_interacts", "user"]
    edges.edge_index = edges.edge_index.flip(1)  # another order has to be matched
    with DeviceIsNamed():
        thin(graph)


def leak_in_encoder(method, monkeypatch):
    forward = type(method.encoder).forward
    monkeypatch.setattr(
        type(method.encoder),
        "forward",
        lambda *args, **keys: (torch.zeros(1), forward(*args, **keys))[1],
    )


def leak_in_loss(method, monkeypatch):
    forward = type(method.loss).forward
    monkeypatch.setattr(
        type(method.loss),
        "forward",
        lambda *args, **keys: (torch.arange(3), forward(*args, **keys))[1],
    )


@pytest.mark.parametrize("leak", [leak_in_encoder, leak_in_loss])
def test_a_planted_violation_is_caught(graph, batch, monkeypatch, leak):
    method = find("adv").method("lightgcn", graph)
    leak(method, monkeypatch)
    step = Step(method.encoder, graph, batch, 0, 0)
    with DeviceIsNamed(), pytest.raises(AssertionError, match="without device="):
        method.objective(step)


def test_only_makers_are_watched():
    with DeviceIsNamed():
        x = torch.ones(2, device="cpu")
        x.new_zeros(3), torch.zeros_like(x), x + 1
