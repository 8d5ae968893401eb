import pytest
import torch

from pyg_advinfonce.methods import lightgcn as mf
from pyg_advinfonce.methods import ultragcn
from pyg_advinfonce.objective import Step
from pyg_advinfonce.registry import MODELS
from tests import cases
from tests.cases import DIM, find

PAIR = MODELS["ultragcn"].losses["bce"]["loss"]


def parts_of(method, graph):
    step = Step(method.encoder, graph, cases.toy_batch(), 0, 0)
    return {name: part.item() for name, part in method.objective(step).items()}


def test_with_its_own_loss_all_is_summed_and_whole_tables_are_penalised(graph):
    method = find("bce").method("ultragcn", graph, l2=0.5, std=1.0)
    assert list(method.objective.terms) == ["rec", "l2", "item_graph"]
    assert method.loss.reduction == "sum"
    assert method.loss.negative_weight == PAIR["negative_weight"] == 300
    assert method.objective.terms["item_graph"].reduction == "sum"
    assert not method.cosine
    tables = method.encoder.user, method.encoder.item
    expected = 0.25 * sum(float(x.detach().square().sum()) for x in tables)
    assert parts_of(method, graph)["l2"] == pytest.approx(expected)


def test_a_mean_over_the_batch_is_one_in_both_terms(graph):
    method = find("bce").method("ultragcn", graph, options={"reduction": "mean"})
    assert method.objective.terms["item_graph"].reduction == "mean"


def test_without_an_item_graph_and_weights_it_is_plain_binary_cross_entropy(graph):
    """The objective of docs/methods.md 1.3."""
    plain = {"w1": 1.0, "w2": 0.0, "w3": 1.0, "w4": 0.0, "negative_weight": 1.0}
    method = find("bce").method(
        "ultragcn", graph, options=plain, item_weight=0.0, l2=0.0, std=1.0
    )
    found = parts_of(method, graph)
    pos, neg = cases.reference.scores(
        method.encoder.user, method.encoder.item, cases.toy_batch(), cosines=False
    )
    rows = torch.cat([pos[:, None], neg], 1)
    label = torch.zeros_like(rows)
    label[:, 0] = 1
    losses = torch.nn.functional.binary_cross_entropy_with_logits(
        rows, label, reduction="none"
    )
    expected = losses[:, 0].sum() + losses[:, 1:].mean(1).sum()
    assert found == {"rec": pytest.approx(expected.item())}


def test_another_criterion_keeps_the_constraints_as_means(graph):
    method = find("adv").method("ultragcn", graph)
    assert list(method.objective.terms) == ["rec", "l2", "constraint", "item_graph"]
    assert method.objective.terms["item_graph"].reduction == "mean"
    constraint = method.objective.terms["constraint"].loss
    weights = [getattr(constraint, f"w{k}") for k in (1, 2, 3, 4)]
    assert (weights, constraint.reduction) == ([0, 1, 0, 1], "mean")
    assert method.cosine


@pytest.mark.parametrize("loss", ["infonce", "adv"])
def test_the_criterion_alone_is_matrix_factorisation(graph, loss):
    """The objective of docs/methods.md 1.3, option X only."""
    alone = find(loss).method(
        "ultragcn", graph, constraint_weight=0.0, item_weight=0.0, l2=0.1
    )
    flat = find(loss).method("mf", graph, l2=0.1)
    flat.load_state_dict(alone.state_dict())
    assert parts_of(alone, graph) == parts_of(flat, graph)


def test_the_adversary_sees_the_ranking_loss_alone(graph):
    adversary, main = find("adv").method("ultragcn", graph).phases
    assert list(adversary.objective.terms) == ["rec"]
    signs = [p.optimizer([]).defaults["maximize"] for p in (adversary, main)]
    assert signs == [True, False]


def test_it_takes_its_options(graph):
    method = ultragcn.build_ultragcn(
        graph,
        find("infonce").build(),
        lr=0.5,
        l2=0.25,
        item_weight=2.0,
        num_neighbors=3,
        item_graph="paper",
        constraint_weight=3.0,
        constraint_negative_weight=7.0,
        dim=DIM,
        std=0.5,
    )
    weights = {"rec": 1.0, "l2": 0.25, "constraint": 3.0, "item_graph": 2.0}
    assert method.objective.weights == weights
    assert method.objective.terms["item_graph"].neighbors.size(1) == 3
    assert method.objective.terms["constraint"].loss.negative_weight == 7
    assert method.encoder.std == 0.5
    assert method.phases[0].optimizer([]).defaults["lr"] == 0.5
    code = find("infonce").method("ultragcn", graph, num_neighbors=3)
    paper, ours = (m.objective.terms["item_graph"].weights for m in (method, code))
    assert not torch.allclose(paper, ours)


def test_it_holds_the_tables_alone(graph):
    names = mf.build_mf(graph, find("infonce").build()).state_dict()
    for loss in ("bce", "infonce"):
        assert find(loss).method("ultragcn", graph).state_dict().keys() == names.keys()
