"""``advnce train --refit``: training on all splits, for as long as validation chose."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import torch

from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import InteractionDataset, load_dataset
from pyg_advinfonce.experiment import train
from pyg_advinfonce.graph import (
    build_graph,
    merge_splits,
    num_nodes,
    seen_pairs,
    split_edges,
    split_names,
)
from pyg_advinfonce.runs import load_run
from pyg_advinfonce.studies.tuning import tune

SIZE = ["--set", "model.dim=4", "--set", "train.batch_size=16", "--quiet"]
EPOCHS = ["--epochs", "6", "--set", "train.eval_every=2"]


@pytest.fixture
def ratings(folder):
    """A table of tastes with a few dislikes."""
    rows = [
        (f"u{u}", f"i{i}", 5 if (u + i) % 4 < 2 else 1, u * i % 7)
        for u in range(16)
        for i in range(20)
        if (3 * u + i) % 5 < 3
    ]
    frame = pd.DataFrame(rows, columns=["user", "item", "rating", "time"])
    frame.to_csv("ratings.csv", index=False)
    return frame


@pytest.fixture
def run(advnce, ratings, folder):
    words = ["train", "lightgcn", "--data", "ratings.csv", "--seeds", "0-1"]
    condition = ["--set", "data.positive_if=rating >= 4"]
    found = advnce(*words, *condition, *SIZE, *EPOCHS, "--out", "run")
    assert found.code == 0, found.err
    return folder / "run"


@dataclass
class Merged:
    """A data set whose train pairs are those of all splits of another."""

    original: InteractionDataset
    fingerprint = "merged"

    @property
    def graph(self):
        graph = self.original.graph
        users, items = num_nodes(graph)
        pairs = [split_edges(graph, name) for name in ("train", "valid", "test")]
        return build_graph(
            torch.cat(pairs, dim=1),
            num_users=users,
            num_items=items,
            splits={"valid": pairs[1], "test": pairs[2]},
        )

    def summary(self):
        return self.original.summary()


def test_equals_a_training_on_the_union_of_the_splits(advnce, run):
    found = advnce("train", "--refit", run, "--out", "all", "--json", "--quiet")
    summary = json.loads(found.out)
    assert summary["metrics"] == {}
    assert summary["config"]["train"]["refit"] is True
    for seed in (0, 1):
        first, again = (load_run(f"{name}/seed-{seed}") for name in ("run", "all"))
        assert again.epochs == first.best_epoch + 1
        assert summary["epochs"][seed] == again.epochs
        data = load_dataset("ratings.csv", positive_if="rating >= 4")
        # Validated at the end only, so that the last epoch is the best.
        epochs = {"epochs": again.epochs, "eval_every": 1000}
        by_hand = train(first.config.updated({"train": epochs}), Merged(data))
        for name, weight in by_hand.method.state_dict().items():
            assert torch.equal(weight, again.method.state_dict()[name])


def test_lists_hold_nothing_known(advnce, run, ratings):
    assert advnce("train", "--refit", run, "--out", "all", "--quiet").code == 0
    again = load_run("all/seed-0")
    lists = again.recommend(k=100)
    known = set(zip(ratings["user"], ratings["item"], strict=True))
    assert not known & set(zip(lists["user"], lists["item"], strict=True))
    assert seen_pairs(again.graph).size(1) == len(known)
    liked = ratings["rating"].ge(4).sum()
    assert split_edges(again.graph, "train").size(1) == liked


def test_says_what_it_is(advnce, run):
    found = advnce("train", "--refit", run)
    lines = found.out.splitlines()
    epochs = [load_run(run / f"seed-{seed}").best_epoch + 1 for seed in (0, 1)]
    counts = ", ".join(map(str, epochs))
    assert f"refit       on the pairs of all splits, {counts} epochs, not " in found.out
    words = ["advnce", "recommend", "runs/run-refit/seed-0", "--users", "all"]
    assert lines[-1].split() == ["next", *words]
    assert advnce(*words[1:], "-k", 1).code == 0
    assert "recall" not in found.out


def test_a_run_on_a_table_is_used_from_another_directory(
    advnce, run, folder, monkeypatch
):
    elsewhere = folder / "else" / "where"
    elsewhere.mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    found = advnce("recommend", "../../run/seed-0", "--users", "u1", "-k", 1)
    assert found.code == 0, found.err
    found = advnce("train", "--refit", "../../run", "--quiet", "--out", "refit")
    assert found.code == 0, found.err
    assert advnce("export", "../../run/seed-0", "--out", "m.npz", "--card").code == 0
    assert advnce("report", "../../run", "--out", "report.html").code == 0
    for published in ("README.md", "report.html", "refit/seed-0/config.toml"):
        assert str(folder) not in (elsewhere / published).read_text("utf-8")


def test_goes_on_after_an_interruption(advnce, run, folder):
    assert advnce("train", "--refit", run, "--out", "whole", "--quiet").code == 0
    assert advnce("train", "--refit", run, "--out", "part", "--quiet").code == 0
    for file in ("metrics.json", "weights.safetensors", "state.safetensors"):
        (folder / "part" / "seed-1" / file).unlink()
    assert advnce("train", "--resume", "part", "--quiet").code == 0
    weights = [folder / r / "seed-1" / "weights.safetensors" for r in ("whole", "part")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize("command", ["evaluate", "report", "compare", "train", "tune"])
def test_has_nothing_to_evaluate(advnce, run, command):
    assert advnce("train", "--refit", run, "--out", "all", "--quiet").code == 0
    if command == "tune":
        config = Config.load("all/seed-0/config.toml")
        dataset = load_dataset("ratings.csv", positive_if="rating >= 4")
        with pytest.raises(ValueError, match=r"nothing is held out"):
            tune(config, dataset, folder=Path("study"), trials=1)
        return
    words = {"train": ["train", "--refit", "all"], "compare": ["compare", "run", "all"]}
    found = advnce(*words.get(command, [command, "all"]))
    assert "is trained on the pairs of all splits" in found.line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--epochs", "3"], "--refit keeps the run's settings"),
        (["--set", "loss.tau=0.2"], "--refit keeps the run's settings"),
        (["--seeds", "0-3"], "--seeds cannot be combined with --refit"),
        (["--seed", "0"], "--seed cannot be combined with --refit"),
        (["--preset", "repro"], "--preset cannot be combined with --refit"),
        (["--resume", "run"], "--refit cannot be combined with --resume"),
        (["--force"], "--force cannot be combined with --refit"),
        (["--out", "run", "--overwrite"], "run would be replaced by its refit"),
        (["--data", "other.csv"], "the run has other settings (data.name"),
    ],
)
def test_other_settings_are_refused(advnce, run, words, said):
    assert said in advnce("train", "--refit", "run", *words).line


def test_other_data_is_refused(advnce, run, ratings):
    ratings.iloc[5:].to_csv("ratings.csv", index=False)
    assert "trained on other data" in advnce("train", "--refit", "run").line


def test_features_of_a_graph_stay():
    rows = torch.arange(6)
    graph = build_graph(
        torch.stack([rows, rows]),
        num_users=6,
        num_items=7,
        splits={"valid": torch.stack([rows, rows + 1])},
        seen=torch.tensor([[0], [5]]),
    )
    graph["item"].x = torch.rand(7, 3)
    merged = merge_splits(graph)
    assert split_names(merged) == []
    assert split_edges(merged, "train").size(1) == 12
    assert torch.equal(merged["item"].x, graph["item"].x)
    assert torch.equal(seen_pairs(merged), seen_pairs(graph))
    assert split_edges(graph, "train").size(1) == 6  # not changed


def test_a_run_that_is_not_finished(advnce, folder):
    assert "nowhere: no such folder" in advnce("train", "--refit", "nowhere").line
