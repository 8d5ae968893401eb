"""The commands that the README promises, on the published data."""

import json
import math

import pytest
import torch

from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.graph import ITEM, num_nodes
from pyg_advinfonce.registry import MODELS
from pyg_advinfonce.runs import load_run

KUAIREC_USERS, KUAIREC_ITEMS, CANDIDATES = 7176, 10_728, 3327


@pytest.fixture(scope="module")
def histories():
    """The history of every run below, to tell that they differ."""
    return {}


@pytest.mark.parametrize(
    ("model", "loss"),
    [(m, loss) for m, entry in MODELS.items() for loss in entry.losses],
)
def test_coat_trains(advnce, folder, real_data, histories, model, loss):
    words = ["--set", "train.eval_every=2", "--epochs", 4, "--json", "--out", "run"]
    if loss.startswith("adv"):
        words += ["--set", "loss.adversary_every=2", "--set", "loss.adversary_first=1"]
    if loss == "bc":
        words += ["--set", "loss.freeze_epoch=1"]
    found = advnce(
        "train",
        model,
        "--loss",
        loss,
        "--data",
        "coat",
        "--data-root",
        real_data,
        *words,
    )
    assert found.code == 0, found.err
    values = [v["mean"] for v in json.loads(found.out)["metrics"].values()]
    assert all(0 <= value <= 1 for value in values)
    lines = folder.joinpath("run/seed-0/history.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    losses = tuple(r["main/rec"] for r in records if "main/rec" in r)
    assert all(map(math.isfinite, losses))
    told = losses or tuple(values)  # a model without a loss
    assert told not in histories.values()
    histories[model, loss] = told


def test_the_paper_s_numbers_stand_beside_ours(advnce, real_data):
    words = ["--data", "coat", "--data-root", real_data, "--epochs", 1]
    table = advnce("train", "mf", "--loss", "adv", *words).out
    assert "test, paper     0.2905   0.1999" in table
    other = advnce("train", "mf", "--loss", "adv", *words, "--set", "loss.tau=0.5").out
    assert "paper" not in other  # its settings were others


@pytest.fixture
def kuairec(tmp_path, real_data):
    """KuaiRec, but for train pairs that are made up and hide no candidate."""
    root = tmp_path / "data"
    raw = root / "kuairec"
    raw.mkdir(parents=True)
    for file in real_data.joinpath("kuairec_partial").iterdir():
        raw.joinpath(file.name).symlink_to(file)
    items = raw.joinpath("not_candidate.txt").read_text().split()
    lines = [f"{u} {items[u]} {items[u + 1]}\n" for u in range(KUAIREC_USERS)]
    raw.joinpath("train.txt").write_text("".join(lines), encoding="utf-8")
    return root


def test_kuairec_without_its_train_file(advnce, folder, kuairec):
    kuairec.joinpath("kuairec/train.txt").unlink()
    found = advnce(
        *("train", "lightgcn", "--loss", "adv", "--data", "kuairec"),
        *("--data-root", kuairec),
    )
    assert found.code == 2
    assert f"needs train.txt, not found in {kuairec / 'kuairec'}: put" in found.line
    assert list(folder.iterdir()) == []


@pytest.mark.filterwarnings("always:.*results cannot be compared")
def test_kuairec_trains_and_ranks_its_candidates(advnce, folder, kuairec):
    found = advnce(
        *("train", "lightgcn", "--loss", "adv", "--data", "kuairec", "--epochs", 2),
        *("--data-root", kuairec, "--json", "--out", "run"),
        *("--set", "train.num_negatives=16", "--set", "loss.adversary_first=1"),
    )
    assert found.code == 0, found.err
    warned = [line for line in found.err.splitlines() if "warning: " in line]
    assert len(warned) == 2  # of the train file's content, and of its size
    summary = json.loads(found.out)
    assert summary["epochs"] == [2]
    assert all(0 < v["mean"] < 1 for v in summary["metrics"].values())

    trained = load_run(folder / "run", root=kuairec)
    method, graph = trained.method, trained.graph
    mask = graph[ITEM].candidate_mask
    assert num_nodes(graph) == (KUAIREC_USERS, KUAIREC_ITEMS)
    assert int(mask.sum()) == CANDIDATES
    evaluator = Evaluator(graph, k=KUAIREC_ITEMS)
    ranked = evaluator.rank(method.scorer(graph), torch.tensor([0]), "valid")[0]
    listed = ranked[ranked >= 0].sort().values
    assert listed.tolist() == mask.nonzero().view(-1).tolist()
