"""Tune models on valid within a time limit, train the best settings, print a table.

    python benchmarks/bench_models.py --data FOLDER --runs DIR [--rows ease,ials] \
        [--tune-minutes 20] [--seed-minutes 30] [--seeds 2] [--set KEY=VALUE]

Every row is searched on valid alone until its CPU time is spent, its first trial being
``START``; with ``--tune-minutes 0`` it has the packaged settings of the data set. Then
its best settings are trained, per seed until early stopping, or until the first
validation after the seed's CPU time is spent: the table marks the last epoch of such a
seed with ``+``. Metrics are those of the test split at the best epoch on valid.

Time is the process's CPU time on one thread, so that a busy machine changes little.
Finished trials and seeds in ``--runs`` are read, and interrupted ones are continued:
the same command prints the whole table at the end.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from bench_all_negatives import spread
from timing import machine, print_table

from pyg_advinfonce.config import (
    Config,
    Sections,
    flatten,
    parse_assignment,
    setting_values,
    settings_text,
    unflatten,
)
from pyg_advinfonce.experiment import train_seed
from pyg_advinfonce.files import write_text
from pyg_advinfonce.machine import keep_freed_memory
from pyg_advinfonce.runs import FinishedSeed
from pyg_advinfonce.studies.tuning import search_space, tune
from pyg_advinfonce.training import Callback, Record, Trainer

TRIAL_EPOCHS = 15
TUNING = "tuning.json"

MEASURED = ("coverage", "gini", "tail", "snips-recall")
COLUMNS = ("recall@20", "ndcg@20", *(f"{name}@20" for name in MEASURED))
Cells = list[str]

LR = [1e-3, 2e-3, 5e-3, 1e-2]
TAU = {"low": 0.1, "high": 0.5, "log": True}
BATCHES = [2048, 8192]
PAIRWISE: Mapping[str, Any] = {
    "train.lr": LR,
    "train.batch_size": BATCHES,
    "train.l2": {"low": 1e-7, "high": 1e-3, "log": True},
}
SOFTMAX: Mapping[str, Any] = {
    "train.lr": LR,
    "train.batch_size": BATCHES,
    "train.num_negatives": [64, 128, 256],
    "loss.tau": TAU,
}
LAYERS: Mapping[str, Any] = {"model.num_layers": [1, 2, 3]}
ADVERSARY: Mapping[str, Any] = {
    "loss.adversary_lr": {"low": 1e-5, "high": 1e-2, "log": True},
    "loss.adversary_epochs": {"low": 1, "high": 10},
}
START: Mapping[str, Any] = {
    "train.lr": 5e-3,
    "train.batch_size": 2048,
    "train.num_negatives": 128,
    "train.eval_every": 2,
    "train.patience": 10,
    "loss.tau": 0.2,
    "loss.adversary_lr": 5e-5,
    "loss.adversary_every": 5,
    "loss.adversary_epochs": 7,
}


@dataclass(frozen=True)
class Row:
    """A model and a loss, and what is searched (default: the packaged space)."""

    model: str
    loss: str | None = None
    space: Mapping[str, Any] | None = None


ROWS: Mapping[str, Row] = {
    "popularity": Row("popularity"),
    "itemknn": Row("itemknn"),
    "ease": Row("ease"),
    "ials": Row("ials"),
    "mf-infonce": Row("mf", "infonce", SOFTMAX),
    "lightgcn-bpr": Row(
        "lightgcn", "bpr", {**PAIRWISE, **LAYERS, "loss.cosine": [False, True]}
    ),
    "lightgcn-infonce": Row("lightgcn", "infonce", {**SOFTMAX, **LAYERS}),
    "lightgcn-adv": Row("lightgcn", "adv", {**SOFTMAX, **LAYERS, **ADVERSARY}),
    "xsimgcl": Row(
        "xsimgcl",
        "bpr",
        {
            **PAIRWISE,
            "model.tau": TAU,
            "model.weight": {"low": 0.01, "high": 1.0, "log": True},
            "model.noise": [0.05, 0.1, 0.2],
            "model.num_layers": [2, 3],
        },
    ),
    "lightgcl": Row(
        "lightgcl",
        "bpr",
        {
            **PAIRWISE,
            "model.tau": {"low": 0.1, "high": 1.0, "log": True},
            "model.weight": {"low": 1e-3, "high": 1.0, "log": True},
            "model.num_layers": [1, 2, 3],
        },
    ),
}


class CpuTime(Callback):
    """Records CPU seconds per epoch; ends training once their sum passes a limit."""

    def __init__(self, limit: float) -> None:
        self.limit, self.last = limit, time.process_time()

    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
        now = time.process_time()
        record.diagnostics["cpu_seconds"] = now - self.last
        self.last = now
        if record.metrics and cpu_seconds(trainer.history) >= self.limit:
            trainer.epochs = len(trainer.history)


def cpu_seconds(history: list[Record]) -> float:
    return sum(record.diagnostics["cpu_seconds"] for record in history)


def configure(args: argparse.Namespace, row: Row, *layers: Sections) -> Config:
    """Return the packaged settings, or those of START if the row is to be tuned."""
    given = [parse_assignment(text) for text in args.set]
    names = row.model, row.loss, args.data
    config = Config.resolve(*names, layers=[*given, *layers])
    if args.tune_minutes <= 0 or row.space is None:
        return config
    known = setting_values(config)
    start = unflatten({key: v for key, v in START.items() if key in known})
    return Config.resolve(*names, layers=[start, *given, *layers])


def tuned(args: argparse.Namespace, name: str, row: Row) -> tuple[Sections, float]:
    """Search until the CPU time is spent; return what was chosen and that time."""
    trial = {"epochs": TRIAL_EPOCHS, "eval_every": 1, "patience": 4}
    config = configure(args, row, {"train": trial})
    space = search_space(config) if row.space is None else row.space
    if not space or args.tune_minutes <= 0:
        return {}, 0.0
    dataset, folder = config.load_dataset(args.data_root), args.runs / name
    note, done = folder / TUNING, {"trials": 0, "seconds": 0.0, "best": {}}
    if note.is_file():
        done = json.loads(note.read_text("utf-8"))
    while done["seconds"] < 60 * args.tune_minutes and done["trials"] < args.trials:
        begun = time.process_time()
        summary = tune(
            config,
            dataset,
            folder=folder / "study",
            space=row.space,
            trials=done["trials"] + 1,
            device="cpu",
        )
        done["trials"] += 1
        done["seconds"] += time.process_time() - begun
        done["best"] = summary["best"]["params"]
        write_text(note, json.dumps(done))
        print(name, done, summary["best"]["value"], file=sys.stderr, flush=True)
    return unflatten(done["best"]), done["seconds"]


def trained(args: argparse.Namespace, name: str, config: Config) -> list[FinishedSeed]:
    """Train the seeds of a row, or read those that are finished."""
    found = []
    for seed in range(args.seeds):
        one = config.updated({"train": {"seed": seed, "metrics": list(MEASURED)}})
        found.append(
            train_seed(
                one,
                one.load_dataset(args.data_root),
                args.runs / name / f"seed_{seed}",
                device="cpu",
                callbacks=[CpuTime(60 * args.seed_minutes)],
            )
        )
        print(name, seed, found[-1].outcome.metrics, file=sys.stderr, flush=True)
    return found


def cells(name: str, seconds: float, seeds: list[FinishedSeed], limit: float) -> Cells:
    """Return a row of the table."""
    metrics = [seed.outcome.metrics for seed in seeds]
    times = [float(seed.history["cpu_seconds"].sum()) for seed in seeds]
    last = "/".join(
        f"{seed.outcome.epochs}{'+' * (spent >= limit)}"
        for seed, spent in zip(seeds, times, strict=True)
    )
    return [
        name,
        f"{seconds:.0f}",
        spread(times, 0 if max(times) >= 10 else 1),
        "/".join(str(seed.outcome.best_epoch + 1) for seed in seeds),
        last,
        spread([m["valid/recall@20"] for m in metrics], 4),
        *(spread([m[f"test/{c}"] for m in metrics], 4) for c in COLUMNS),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--tune-minutes", type=float, default=20)
    parser.add_argument("--seed-minutes", type=float, default=30)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    table, settings = [], []
    for name in args.rows.split(","):
        chosen, seconds = tuned(args, name, ROWS[name])
        seeds = trained(args, name, configure(args, ROWS[name], chosen))
        table.append(cells(name, seconds, seeds, 60 * args.seed_minutes))
        settings.append(f"- {name}: {settings_text(flatten(chosen))}")
    device = machine(torch.device("cpu"))
    print(f"{args.data}, seeds 0-{args.seeds - 1}, CPU seconds, {device}\n")
    head = ["row", "tuning s", "training s", "best epoch", "last epoch"]
    print_table([*head, "valid/recall@20", *COLUMNS], table)
    print("", *settings, sep="\n")


if __name__ == "__main__":
    main()
