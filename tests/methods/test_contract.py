"""What every method of the registry promises, a row of ``method_cases`` at a time."""

import pytest
import torch

from pyg_advinfonce.registry import MODELS
from pyg_advinfonce.step import Step
from tests import cases
from tests.method_cases import METHOD_CASES

every_case = pytest.mark.parametrize("case", METHOD_CASES, ids=lambda case: case.id)


def test_every_model_has_a_row():
    assert {case.model for case in METHOD_CASES} == set(MODELS)


def test_every_loss_that_is_a_term_has_a_row():
    terms = {case.loss for case in cases.CASES if not case.is_criterion}
    assert terms <= {case.loss for case in METHOD_CASES}


@pytest.fixture(autouse=True)
def _double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@every_case
def test_one_step_is_that_of_the_naive_formula(case, batch):
    graph = cases.toy_graph()
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
