"""No step of a training waits for the device: checked for all without a GPU.

A step is what the trainer does with a batch: forward, backward, record for the check
of finite values, optimiser. It runs on the CPU, but chooses what it would on a GPU. The
draw of a batch, an epoch's start and end, and a phase's first step, which fills caches,
are not watched.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    FakeTensorMode,
)

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.losses import InfoNCE
from pyg_advinfonce.objective import always
from pyg_advinfonce.registry import MODELS
from pyg_advinfonce.training import Trainer
from pyg_advinfonce.training.trainer import CHECK_EVERY, FiniteCheck
from tests import cases
from tests.cases import CASES, CRITERIA, FIRST, PAIRS, find
from tests.host_mode import Watch

BENCHMARKS = Path(__file__).parents[2] / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Exempt:
    """A function of the library that waits for the device in a step, and why.

    Attributes:
        place: The function.
        operations: What it waits for.
        why: The reason.
        models: The models whose steps call it (default: all).
        settings: Settings without which it does not wait, see :func:`waits_of`.
    """

    place: str
    operations: Collection[str]
    why: str
    models: Collection[str] = tuple(cases.TRAINED)
    settings: Mapping[str, Any] = field(default_factory=dict)


EXEMPT = (
    Exempt(
        "terms/contrast:Contrast._nce",
        {"_unique2"},
        "contrasts each node of a batch once, and their number is a shape",
        {"sgl", "simgcl", "xsimgcl", "dcl"},
    ),
    Exempt(
        "terms/contrast:nce_with_all",
        {"_unique2"},
        "scores each node of a batch once against all others",
        {"sgl", "ncl"},
    ),
    Exempt(
        "terms/svd_contrast:SVDContrast._nce",
        {"_unique2"},
        "scores each node of a batch once against all others",
        {"lightgcl"},
    ),
    Exempt(
        "losses/autocf:AutoCFLoss._contrast",
        {"_unique2"},
        "scores each node of a batch once against all others",
        {"autocf"},
    ),
    Exempt(
        "transforms/joint_graph:SubgraphMask.forward",
        {"index"},
        "masks another part of the graph every 10 steps (`loss.fix_steps`)",
        {"autocf"},
    ),
    Exempt(
        "transforms/joint_graph:RandomLinks.forward",
        {"index", "nonzero", "_local_scalar_dense"},
        "draws other links every 10 steps (`loss.fix_steps`)",
        {"autocf"},
    ),
    Exempt(
        "ops/adjacency:CSR.from_coo",
        {"bincount"},
        "builds the adjacency of a new graph: AutoCF's, or a sampled one of "
        '`train.loader = "neighbor"`',
        {"autocf"},
    ),
    Exempt(
        "ops/adjacency:CSR.t",
        {"repeat_interleave"},
        "builds the transpose of such an adjacency",
        {"autocf"},
    ),
    Exempt(
        "ops/adjacency:_is_sorted",
        {"_local_scalar_dense"},
        "spares the sort of such an adjacency",
        {"autocf"},
    ),
    Exempt(
        "batch:EdgeBatch.split",
        {"tolist"},
        "cuts a batch with all negatives into parts of bounded memory",
        settings={"num_negatives": "all"},
    ),
    Exempt(
        "losses/adv_infonce:_kept",
        {"index"},
        "means over the negatives that are not masked, for `loss.max_kl`",
        {"lightgcn"},
        settings={"num_negatives": "all", "options": {"max_kl": 9.0}},
    ),
    Exempt(
        "losses/adv_infonce:AdvInfoNCE.diagnostics",
        {"new_tensor"},
        "weighs the parts of a batch with all negatives, for `loss.max_kl`",
        {"lightgcn"},
        settings={"num_negatives": "all", "options": {"max_kl": 9.0}},
    ),
    Exempt(
        "training/trainer:FiniteCheck.check",
        {"tolist"},
        f"checks {CHECK_EVERY} steps at once",
        settings={"check_every": 2},
    ),
)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr("pyg_advinfonce.batch.MOST_SCORES", cases.NUM_ITEMS)


class WatchedSampler:
    """A sampler whose second and eleventh batch are watched until the next one."""

    def __init__(self, sampler):
        self.sampler, self.watch = sampler, Watch()

    def __len__(self):
        return len(self.sampler)

    def __iter__(self):
        drawn = list(self.sampler)
        with self.watch:
            for index, batch in enumerate(drawn):
                self.watch.records = index in (1, 10)  # AutoCF masks anew in the latter
                yield batch


def waits_of(model, case, *, num_negatives=4, check_every=CHECK_EVERY, options=None):
    """Train all phases for an epoch; return the waits of watched steps."""
    graph = cases.toy_graph()
    method = case.method(model, graph, options=options)
    method.phases = tuple(replace(phase, active=always) for phase in method.phases)
    plain = EdgeSampler(graph, batch_size=2, num_negatives=num_negatives)
    sampler = WatchedSampler(plain)
    assert len(sampler) > 10
    trainer = Trainer(method, graph, sampler, Evaluator(graph), epochs=1, monitor=None)
    trainer.check_every = check_every
    trainer.fit()
    assert trainer.history[0].phases == [phase.name for phase in method.phases]
    return sampler.watch.found


@pytest.mark.parametrize(
    ("model", "case"),
    [*PAIRS, *((case.model, case) for case in CASES if case not in FIRST)],
    ids=lambda value: getattr(value, "id", value),
)
def test_no_step_waits_for_the_device(model, case):
    allowed = {
        (row.place, operation)
        for row in EXEMPT
        if model in row.models and not row.settings
        for operation in row.operations
    }
    assert waits_of(model, case) - allowed == set()


@pytest.mark.parametrize("row", EXEMPT, ids=lambda row: row.place)
def test_every_exemption_is_needed(row):
    for model in row.models if row.models != tuple(cases.TRAINED) else ["lightgcn"]:
        loss = next(iter(MODELS[model].losses))
        found = waits_of(model, find(loss), **row.settings)
        assert {name for place, name in found if place == row.place} == row.operations


def test_the_documents_list_every_exemption():
    text = BENCHMARKS.read_text(encoding="utf-8")
    rows = [f"| `{row.place}` | {row.why} |" for row in EXEMPT]
    assert [row for row in rows if row not in text] == []


def test_a_run_with_all_negatives_waits_in_exempt_functions_only():
    settings = {"num_negatives": "all", "options": {"max_kl": 9.0}}
    found = waits_of("lightgcn", find("adv"), **settings)
    assert {place for place, _ in found} <= {row.place for row in EXEMPT}


PLANTS = {
    "_local_scalar_dense": lambda x: x.item(),
    "tolist": lambda x: x.view(1).tolist(),
    "cpu": lambda x: x.detach().cpu(),
    "to": lambda x: x.detach().to("cpu"),
    "rand": lambda x: torch.rand(1, device="cpu"),
    "nonzero": lambda x: x.detach().view(1).nonzero(),
    "index": lambda x: x.view(1)[x.view(1) > 0],
    "index_put": lambda x: x.new_zeros(1).index_put_((x.view(1) > 0,), x.detach()),
    "_unique2": lambda x: x.detach().view(1).unique(),
    "bincount": lambda x: x.detach().long().view(1).bincount(),
    "repeat_interleave": lambda x: torch.repeat_interleave(x.detach().long().view(1)),
    "equal": lambda x: torch.equal(x, x),
    "tensor": lambda x: torch.tensor([2.0], device=x.device),
    "new_tensor": lambda x: x.new_tensor([2.0]),
}


@pytest.mark.parametrize("operation", PLANTS)
def test_a_wait_that_is_planted_in_a_loss_is_found(operation, monkeypatch):
    forward = InfoNCE.forward

    def waiting(self, *args):
        loss = forward(self, *args)
        PLANTS[operation](loss)
        return loss

    monkeypatch.setattr(InfoNCE, "forward", waiting)
    found = waits_of("mf", find("infonce"))
    assert ("losses/base:Criterion.on_step", operation) in found


def test_a_branch_on_a_gradient_is_found(monkeypatch):
    def branching(check, step, names, values):
        assert all(bool(p.grad.isfinite().all()) for p in check.params)

    monkeypatch.setattr(FiniteCheck, "add", branching)
    found = waits_of("mf", find("infonce"))
    assert ("training/trainer:_Steps.eager", "_local_scalar_dense") in found


built_for_cuda = pytest.mark.skipif(
    not torch.backends.cuda.is_built(), reason="torch is built without CUDA"
)


@built_for_cuda
@pytest.mark.parametrize("case", CRITERIA, ids=lambda case: case.id)
def test_a_loss_asks_no_value_of_a_tensor_on_a_gpu(case):
    """A tensor without values, which has a device, raises where one is read."""
    criterion = case.build().train()
    shapes = (cases.NUM_USERS, cases.DIM), (cases.NUM_ITEMS, cases.DIM)
    with FakeTensorMode():
        state = {
            name: torch.empty(tensor.shape, dtype=tensor.dtype, device="cuda")
            for named in (criterion.named_parameters(), criterion.named_buffers())
            for name, tensor in named
        }
        tables = [torch.empty(shape, device="cuda") for shape in shapes]
        indices = [
            torch.empty(shape, dtype=torch.long, device="cuda")
            for shape in ((5,), (5,), (5, 4))
        ]
        given = (*tables, EdgeBatch(*indices))
        loss = torch.func.functional_call(criterion, state, given)
    assert (loss.device.type, loss.shape) == ("cuda", ())


@built_for_cuda
def test_a_value_that_a_loss_asks_for_on_a_gpu_is_refused(monkeypatch):
    forward = InfoNCE.forward
    waiting = lambda *args: forward(*args) * forward(*args).item()  # noqa: E731
    monkeypatch.setattr(InfoNCE, "forward", waiting)
    with pytest.raises(DataDependentOutputException):
        test_a_loss_asks_no_value_of_a_tensor_on_a_gpu(find("infonce"))
