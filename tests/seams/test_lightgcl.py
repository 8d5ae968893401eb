"""Methods of other people, on the library as it is; the folder mirrors no package."""

import sys

import pytest
import torch
from pyg_advinfonce.cli.main import main

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.experiment import evaluate, train
from pyg_advinfonce.graph import INTERACTS
from pyg_advinfonce.losses import BPR
from pyg_advinfonce.objective import Step
from pyg_advinfonce.runs import load_run
from tests import cases, method_cases, reference
from tests.seams.lightgcl import SVDContrast, build

NAME = "tests.seams.lightgcl:build"
FULL = min(cases.NUM_USERS, cases.NUM_ITEMS)


def in_double(graph):
    graph[INTERACTS].edge_weight = graph[INTERACTS].edge_weight.double()
    return graph


def adjacency_of(graph):
    return method_cases.dense(graph)[: cases.NUM_USERS, cases.NUM_USERS :]


def naive(low_rank, adjacency, tables, batch, tau, num_layers=2):
    """3.8, each node of the batch by itself."""
    main, low = [tables], list(tables)
    for _ in range(num_layers):
        user, item = main[-1]
        low[0] = low[0] + low_rank @ item
        low[1] = low[1] + low_rank.t() @ user
        main.append((adjacency @ item, adjacency.t() @ user))
    full = [sum(side) for side in zip(*main, strict=True)]
    total = 0.0
    for g, e, index in zip(
        low, full, (batch.src_index, batch.dst_pos_index), strict=True
    ):
        for node in index:
            scores = [reference.dot(g[node], row) / tau for row in e]
            own = scores[node].clamp(-5, 5)
            total += (torch.log(sum(s.exp() for s in scores)) - own) / len(index)
    return total


@pytest.mark.parametrize("rank", [3, FULL])
@pytest.mark.parametrize("tau", [0.2, 2.0])
def test_it_is_the_naive_formula(graph, rank, tau):
    torch.manual_seed(0)
    term = SVDContrast(in_double(graph), rank, tau)
    encoder = LightGCN(
        cases.NUM_USERS, cases.NUM_ITEMS, cases.DIM, alpha=(1.0, 1.0, 1.0)
    ).double()
    adjacency, batch = adjacency_of(graph), cases.toy_batch(8)
    low_rank = term.user @ term.item.t()
    least = torch.linalg.svdvals(adjacency)[rank:].norm()  # of all of this rank
    assert (low_rank - adjacency).norm() <= 1.05 * least + 1e-6
    tables = tuple(encoder.parameters())
    loss = term(Step(encoder, graph, batch, 0, 0))
    wanted = naive(low_rank, adjacency, tables, batch, tau)
    torch.testing.assert_close(loss, wanted, rtol=1e-6, atol=0)
    found = torch.autograd.grad(loss, tables)
    for a, b in zip(found, torch.autograd.grad(wanted, tables), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_of_full_rank_it_is_the_plain_propagation(graph):
    term = SVDContrast(graph, FULL)
    found = term.user @ term.item.t()
    torch.testing.assert_close(found.double(), adjacency_of(graph), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_it_trains_and_goes_on(configure, goes_on, dropout):
    model = {"rank": 3, "dropout": dropout}
    result = goes_on(configure(NAME, model=model), lambda: {"model": build})
    assert result.method.get_buffer("objective.terms.svd.user").shape[1] == 3
    first, *_, last = (record.losses["main/svd"] for record in result.history)
    assert last < first
    assert result.history[-1].losses["main/rec"] < result.history[0].losses["main/rec"]


def test_a_loss_of_weight_0_is_the_plain_model(configure, dataset):
    plain = configure(model={"alpha": [1.0] * 3}, train={"epochs": 2})
    bare = configure(NAME, model={"weight": 0.0}, train={"epochs": 2})
    expected = train(plain, dataset, loss=BPR()).metrics
    assert train(bare, dataset, model=build, loss=BPR()).metrics == expected


def test_the_command_line_takes_its_name(tmp_path, monkeypatch):
    words = ["train", NAME, "--loss", "adv", "--epochs", "2", "--out", tmp_path / "run"]
    words += ["--set", "model.rank=4", "--set", "model.dim=8", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["advnce", *map(str, words)])
    main()
    result = load_run(tmp_path / "run", device="cpu", model=build)
    assert result.config.model.options == {"rank": 4, "dim": 8}
    ranked = evaluate(result.method, result.graph, Evaluator(result.graph))
    assert ranked == pytest.approx(dict(result.metrics))
