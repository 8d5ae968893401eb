"""What every method of the registry promises, a row of ``method_cases`` at a time."""

import inspect
import pickle

import pytest
import torch

from pyg_advinfonce.build import build_method
from pyg_advinfonce.config import Config, parse_assignment
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.objective import Step
from pyg_advinfonce.registry import LOSSES, MODELS
from tests import cases
from tests.method_cases import METHOD_CASES

every_case = pytest.mark.parametrize("case", METHOD_CASES, ids=lambda case: case.id)


def test_every_model_has_a_row():
    assert {case.model for case in METHOD_CASES} == set(cases.TRAINED)


def test_every_loss_that_is_a_term_has_a_row():
    terms = {case.loss for case in cases.CASES if not case.is_criterion}
    assert terms <= {case.loss for case in METHOD_CASES}


@pytest.fixture(autouse=True)
def _double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@every_case
@pytest.mark.parametrize("seed", [0, 2])  # a user repeats; a user and an item do
def test_one_step_is_that_of_the_naive_formula(case, seed):
    graph, batch = cases.toy_graph(), cases.toy_batch(seed=seed)
    method = case.build(graph)
    main = next(phase for phase in method.phases if phase.name == "main")
    torch.manual_seed(5)
    main.objective.on_epoch_start(method.encoder, graph, case.epoch)
    method.train()
    torch.manual_seed(6)
    parts = main.objective(Step(method.encoder, graph, batch, case.epoch, 0))
    loss = torch.stack(list(parts.values())).sum()
    torch.manual_seed(6)
    expected = case.naive(method, graph, batch)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
    leaves = method.params_of(main)
    found = torch.autograd.grad(loss, leaves, allow_unused=True)
    wanted = torch.autograd.grad(expected, leaves, allow_unused=True)
    for a, b in zip(found, wanted, strict=True):
        a, b = (torch.zeros(()) if g is None else g.to_dense() for g in (a, b))
        torch.testing.assert_close(
            *torch.broadcast_tensors(a, b), rtol=1e-8, atol=1e-10
        )


@every_case
def test_a_used_method_is_pickled(case, batch):
    graph = cases.toy_graph()
    method = case.build(graph).train()

    def gradients(method):
        found = []
        for phase in method.phases:
            torch.manual_seed(5)
            phase.objective.on_epoch_start(method.encoder, graph, case.epoch)
            step = Step(method.encoder, graph, batch, case.epoch, 0)
            loss = torch.stack(list(phase.objective(step).values())).sum()
            params = method.params_of(phase)
            assert isinstance(phase.optimizer(params), torch.optim.Optimizer)
            found += torch.autograd.grad(loss, params, allow_unused=True)
        return [g.to_dense() for g in found if g is not None]

    gradients(method)  # fills the caches, which hold weak references to the graph
    other = pickle.loads(pickle.dumps(method))
    wanted, found = gradients(method), gradients(other)
    assert len(found) == len(wanted) > 0
    assert all(map(torch.equal, found, wanted))


@every_case
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")  # equal rows
@pytest.mark.parametrize("scale", [0.0, 1e4])
@pytest.mark.parametrize("size", [(1, 1), (5, 4)])
def test_zero_and_huge_tables_stay_finite(case, scale, size):
    torch.set_default_dtype(torch.float32)
    graph, batch = cases.toy_graph(), cases.toy_batch(*size)
    method = case.build(graph).train()
    with torch.no_grad():
        for parameter in method.encoder.parameters():
            parameter.mul_(scale)
    for phase in method.phases:
        phase.objective.on_epoch_start(method.encoder, graph, case.epoch)
        step = Step(method.encoder, graph, batch, case.epoch, 0)
        loss = torch.stack(list(phase.objective(step).values())).sum()
        loss.backward()
        assert loss.isfinite()
    grads = [p.grad.to_dense() for p in method.parameters() if p.grad is not None]
    assert grads
    assert all(grad.isfinite().all() for grad in grads)


def temperatures():
    """Return every temperature that a model or a loss takes, as a setting."""
    for name, entry in MODELS.items():
        for key in inspect.signature(entry.load()).parameters:
            if key.endswith("tau"):
                yield name, None, f"model.{key}"
    for case in cases.FIRST:
        for key in inspect.signature(LOSSES[case.loss].load()).parameters:
            if key.endswith("tau"):
                yield case.model, case.loss, f"loss.{key}"


@pytest.mark.parametrize("value", ["0", "-0.1", "nan", "inf"])
@pytest.mark.parametrize(("model", "loss", "key"), list(temperatures()))
def test_an_impossible_temperature_is_named(model, loss, key, value, graph):
    layers = [parse_assignment(f"{key}={value}")]
    config = Config.resolve(model, loss, "simulated", layers=layers)
    with pytest.raises(ConfigError, match=rf"^{key} must be positive \(got "):
        build_method(config, graph)
