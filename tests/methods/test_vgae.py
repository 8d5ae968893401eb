import pytest
import torch

from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.objective import Step
from pyg_advinfonce.training import Trainer
from tests import cases
from tests.cases import find


def parts_of(method, graph):
    step = Step(method.encoder, graph, cases.toy_batch(), 0, 0)
    return {name: part.item() for name, part in method.objective(step).items()}


@pytest.mark.parametrize("loss", ["bce", "infonce", "adv"])
def test_without_prior_and_spread_it_is_the_criterion_on_the_mean(graph, loss):
    """The objective of docs/methods.md 1.4."""
    method = find(loss).method(
        "vgae", graph, beta_kl=0.0, l2=0.0, logstd_offset=-60.0, residual=True
    )
    z = method.encoder(graph, perturb=False)
    expected = method.loss(z.user, z.item, cases.toy_batch())
    assert parts_of(method, graph) == {"rec": pytest.approx(expected.item())}


def test_an_evaluation_is_deterministic_and_reads_the_mean(graph):
    method = find("bce").method("vgae", graph)
    first, second = method.embed(graph), method.embed(graph)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert torch.equal(first[0], method.encoder(graph).aux["mu_user"])


def test_the_adversary_sees_the_mean(graph):
    method = find("adv").method("vgae", graph, options={"adversary_first": 0})
    seen = []

    def keep(module, arguments, keys, z):
        seen.append((z.user.requires_grad, torch.equal(z.user, z.aux["mu_user"])))

    method.encoder.register_forward_hook(keep, with_kwargs=True)
    sampler = EdgeSampler(graph, batch_size=6, num_negatives=4)
    Trainer(method, graph, sampler, Evaluator(graph), epochs=1).fit()
    adversary, *main, evaluation = seen
    assert adversary == evaluation == (False, True)
    assert main == [(True, False)] * len(sampler)


def test_the_prior_has_its_weight(graph):
    method = find("infonce").method("vgae", graph, beta_kl=0.5)
    assert method.objective.weights["kl"] == 0.5
    assert list(method.objective.terms) == ["rec", "l2", "kl"]
    assert find("infonce").method("vgae", graph).objective.weights["kl"] == 1e-3
