"""Steps as CUDA graphs; without a GPU, on a tape that repeats operations."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from pyg_advinfonce.build import assemble
from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.errors import ConfigError, NonFiniteLossError
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.objective import Phase, always
from pyg_advinfonce.training import (
    StepGraph,
    Trainer,
    TrainingState,
    seed_everything,
)
from pyg_advinfonce.training.cuda_graph import WARM_UP
from tests import cases
from tests.cases import CASES, TRAINED, find, pair_name
from tests.host_mode import Watch
from tests.methods.test_host_free import EXEMPT
from tests.tape import Tape

WAITING = {model for row in EXEMPT if not row.settings for model in row.models}
NUM_FULL = 8  # batches of three of the 24 train pairs
# Each row of a loss, and each model with its first loss.
ROWS = [(case.model, case) for case in CASES]
ROWS += [(model, find(next(iter(entry.losses)))) for model, entry in TRAINED.items()]
CAPTURED = [(model, case) for model, case in ROWS if model not in WAITING]


def is_same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


class AsOnCuda:
    """A sampler whose batches, and the steps with them, are those of a GPU."""

    is_static = True

    def __init__(self, graph, **options):
        self.edges = EdgeSampler(graph, **options)
        self.draw = self.edges.draw

    def __len__(self):
        return len(self.edges)

    def samples(self):
        with Watch() as watch:
            watch.records = False
            yield from self.edges.samples()

    def __iter__(self):
        return ((self.edges.graph, self.draw(sample)) for sample in self.samples())


def make(method, *, cuda_graph, sampler=None, epochs=2, **options):
    """Build a trainer as on a GPU, whose phases all run in each epoch."""
    graph = cases.toy_graph()
    method.phases = tuple(replace(phase, active=always) for phase in method.phases)
    with Watch():
        options = {"batch_size": 3, "num_negatives": 4, "drop_last": False, **options}
        return Trainer(
            method,
            graph,
            sampler or AsOnCuda(graph, **options),
            Evaluator(graph),
            epochs=epochs,
            monitor=None,
            cuda_graph=cuda_graph,
        )


@pytest.fixture
def tapes(monkeypatch):
    """Let trainers record on tapes; return these."""
    made = []

    def on_tape(step):
        closed = dict(zip(step.__code__.co_freevars, step.__closure__, strict=True))
        steps = closed["self"].cell_contents

        def state():
            kept = steps.optimizer.state.values()
            yield from steps.method.parameters()
            yield from steps.method.buffers()
            yield from (x for values in kept for x in values.values())

        made.append(Tape(state))
        return StepGraph(step, made[-1])

    monkeypatch.setattr("pyg_advinfonce.training.trainer.StepGraph", on_tape)
    return made


@pytest.mark.parametrize(("model", "case"), CAPTURED, ids=pair_name)
def test_a_graph_trains_as_steps_do(model, case, tapes):
    found = []
    for cuda_graph in (False, True):
        trainer = make(case.method(model), cuda_graph=cuda_graph)
        trainer.fit()
        found.append(trainer)
    eager, replayed = found
    assert [r.losses for r in replayed.history] == [r.losses for r in eager.history]
    assert is_same(*(TrainingState.of(trainer).tensors for trainer in found))
    assert replayed.last_batch[1] == eager.last_batch[1]
    assert len(tapes) == 2 * len(eager.method.phases)
    assert {tape.replays for tape in tapes} == {NUM_FULL - WARM_UP}
    assert all(p.grad is None for p in replayed.method.parameters())


def test_the_smaller_last_batch_is_no_replay(tapes, monkeypatch):
    monkeypatch.setattr("pyg_advinfonce.training.cuda_graph.WARM_UP", 1)
    found = []
    for cuda_graph in (False, True):
        method = find("adv").method()
        trainer = make(method, cuda_graph=cuda_graph, batch_size=5)
        trainer.fit()
        found.append(trainer)
    assert found[1].last_batch[1].src_index.numel() == 4
    assert {tape.replays for tape in tapes} == {4 - 1}
    assert is_same(*(TrainingState.of(trainer).tensors for trainer in found))


@pytest.mark.parametrize("loss", ["adv", "sdro", "xir"])
def test_a_resumed_training_is_the_uninterrupted_one(loss, tapes):
    whole = make(find(loss).method(), cuda_graph=True, epochs=4)
    whole.fit()
    begun = make(find(loss).method(), cuda_graph=True, epochs=2)
    begun.fit()
    resumed = make(find(loss).method(), cuda_graph=True, epochs=4)
    TrainingState.of(begun).restore(resumed)
    resumed.fit()
    assert [r.losses for r in resumed.history] == [r.losses for r in whole.history]
    states = [TrainingState.of(trainer).tensors for trainer in (whole, resumed)]
    assert is_same(*states)
    steps = [value for name, value in states[0].items() if name.endswith("/step")]
    assert {float(value) for value in steps} == {4.0 * NUM_FULL}


def test_a_bad_replay_is_named_with_its_batch(tapes):
    method = find("infonce").method()
    trainer = make(method, cuda_graph=True)
    draw_samples = trainer.sampler.samples

    def spoiled():
        for index, sample in enumerate(draw_samples()):
            if index == 5:
                method.encoder.user.data.fill_(float("nan"))
            yield sample

    trainer.sampler.samples = spoiled
    with pytest.raises(NonFiniteLossError, match="'main', epoch 0, step 5") as error:
        trainer.fit()
    assert tapes[0].replays == NUM_FULL - WARM_UP
    sampler = make(find("infonce").method(), cuda_graph=False).sampler
    seed_everything(0, 0, 0)
    batches = [batch for _, batch in sampler]
    assert error.value.batch == batches[5]


class Counted:
    """A recorder that counts; a replay runs the work again."""

    def __init__(self):
        self.runs = self.records = 0

    def run(self, work):
        self.runs += 1
        return work()

    def record(self, work):
        self.records += 1
        result = torch.zeros(3)
        return lambda: result.copy_(work()[0]), (result,)


def test_a_step_runs_a_few_times_and_is_then_replayed():
    recorder = Counted()
    take = StepGraph(lambda sample: (sample * 2,), recorder)
    kept = [take(torch.full((3,), float(k)))[0] for k in range(6)]
    assert [x.tolist() for x in kept] == [[2.0 * k] * 3 for k in range(6)]
    assert (recorder.runs, recorder.records) == (WARM_UP, 1)
    assert take(torch.ones(2))[0].tolist() == [2, 2]
    assert (recorder.runs, recorder.records) == (WARM_UP + 1, 1)


class Refusing(Counted):
    def __init__(self, message):
        super().__init__()
        self.message = message

    def record(self, work):
        raise RuntimeError(self.message)


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        ("operation not permitted", ConfigError, r"\(got operation not permitted\)"),
        ("CUDA out of memory", RuntimeError, "CUDA out of memory"),
    ],
)
def test_a_step_that_cannot_be_captured(said, kind, message):
    take = StepGraph(lambda sample: (sample,), Refusing(said))
    for _ in range(WARM_UP):
        take(torch.ones(1))
    with pytest.raises(kind, match=message):
        take(torch.ones(1))


@pytest.mark.parametrize(("model", "case"), ROWS, ids=pair_name)
def test_what_waits_for_the_device_is_refused(model, case):
    """The same methods as those whose steps are exempt in ``test_host_free.py``."""
    method = case.method(model)
    assert bool(method.objective.waiting()) == (model in WAITING)
    if model in WAITING:
        with pytest.raises(ConfigError, match="terms that never wait"):
            make(method, cuda_graph=True)


def test_the_cpu_is_refused_before_the_first_step():
    settings = [{"train": {"cuda_graph": True}}]
    config = Config.resolve("mf", "bpr", "simulated", layers=settings)
    with pytest.raises(ConfigError, match=r"expects a CUDA device \(got cpu\): set"):
        assemble(config, load_dataset("simulated"), device="cpu")


def test_batches_of_other_shapes_are_refused():
    graph, method = cases.toy_graph(), find("infonce").method()
    every = EdgeSampler(graph, batch_size=3, num_negatives="all")
    for sampler in (every, [(graph, cases.toy_batch())]):
        name = type(sampler).__name__
        with pytest.raises(ConfigError, match=rf"equal shapes .*\(got a {name} with"):
            make(method, cuda_graph=True, sampler=sampler)


def test_an_optimiser_that_cannot_be_captured_is_refused():
    method = find("bpr").method()
    sgd = partial(torch.optim.SGD, lr=0.1)
    method.phases = (Phase("main", method.objective, optimizer=sgd),)
    with pytest.raises(ConfigError, match=r"option capturable, .* \(got SGD\)"):
        make(method, cuda_graph=True)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("model", "case"), CAPTURED, ids=pair_name)
def test_a_graph_on_cuda_trains_as_steps_do(model, case):
    found = []
    for cuda_graph in (False, True):
        graph = cases.toy_graph().to("cuda")
        method = case.method(model).to("cuda")
        method.phases = tuple(replace(p, active=always) for p in method.phases)
        trainer = Trainer(
            method,
            graph,
            EdgeSampler(graph, batch_size=3, num_negatives=4, drop_last=False),
            Evaluator(graph),
            epochs=3,
            monitor=None,
            cuda_graph=cuda_graph,
        )
        trainer.fit()
        found.append(trainer)
    eager, replayed = found
    for first, second in zip(eager.history, replayed.history, strict=True):
        assert second.losses == pytest.approx(first.losses, rel=1e-4, abs=1e-6)
    states = (TrainingState.of(trainer).tensors for trainer in found)
    for first, second in zip(*(state.values() for state in states), strict=True):
        # sums on a GPU have no fixed order
        torch.testing.assert_close(second, first, rtol=1e-3, atol=1e-4)
