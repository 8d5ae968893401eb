"""Train with K sampled negatives and with all, and compare quality and time.

    python benchmarks/bench_all_negatives.py --data coat --data-root DIR --runs DIR \
        [--model lightgcn] [--losses infonce,adv] [--negatives 64,128,all] [--seeds 5]

Every row has the packaged settings of the data set. With all negatives the weight of
the negatives is 1 (docs/methods.md 0.3), with sampled ones it is the packaged one.
Metrics are those of the test split at the best epoch on valid, mean and standard
deviation over seeds. Finished seeds in ``--runs`` are read and interrupted ones
are continued, so that the same command prints the table of all rows at the end.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from timing import machine, print_table

from pyg_advinfonce.config import Config, parse_assignment
from pyg_advinfonce.experiment import train_seed
from pyg_advinfonce.machine import keep_freed_memory

METRICS = ("test/recall@20", "test/ndcg@20")


def configure(args: argparse.Namespace, loss: str, number: str, seed: int) -> Config:
    chosen = number if number == "all" else int(number)
    train = {"train": {"num_negatives": chosen, "seed": seed}}
    layers = [train, *map(parse_assignment, args.set)]
    return Config.resolve(args.model, loss, args.data, layers=layers)


def spread(values: Sequence[float], digits: int) -> str:
    mean = f"{statistics.mean(values):.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {statistics.stdev(values):.{digits}f}"


def row(args: argparse.Namespace, loss: str, number: str) -> list[str]:
    """Train the seeds of one row, or read those that are finished."""
    found = []
    for seed in range(args.seeds):
        config = configure(args, loss, number, seed)
        dataset = config.load_dataset(args.data_root)
        folder = args.runs / f"{config.title}-{number}" / f"seed_{seed}"
        found.append(train_seed(config, dataset, folder, device=args.device))
        print(loss, number, folder, found[-1].outcome.metrics, file=sys.stderr)
    weight = config.loss.options.get("negative_weight", "")
    values = [[f.outcome.metrics[name] for f in found] for name in METRICS]
    return [
        loss,
        number,
        f"{weight}",
        *(spread(column, 4) for column in values),
        spread([f.outcome.best_epoch + 1 for f in found], 0),
        spread([f.outcome.seconds_per_epoch for f in found], 3),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="coat")
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--model", default="lightgcn")
    parser.add_argument("--losses", default="infonce,adv")
    parser.add_argument("--negatives", default="64,128,all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    keep_freed_memory()
    rows = [
        row(args, loss, number)
        for loss in args.losses.split(",")
        for number in args.negatives.split(",")
    ]
    settings = "packaged settings" + "".join(f", {text}" for text in args.set)
    print(
        f"{args.data}, {args.model}, {settings}, {args.seeds} seeds, "
        f"{machine(torch.device(args.device))}\n"
    )
    head = ["loss", "negatives", "weight", *METRICS, "best epoch", "s per epoch"]
    print_table(head, rows)


if __name__ == "__main__":
    main()
