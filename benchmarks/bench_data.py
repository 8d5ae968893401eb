"""Time how a large table becomes a data set, beside pandas and a naive split.

    python benchmarks/bench_data.py [--rows 5000000] [--strings] [--split leave-last]

Each way reads the same CSV in a process of its own, so that its peak memory is its own.
The naive way reads the table with pandas and divides it by ``groupby``.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from timing import print_table

USERS, ITEMS = 200_000, 50_000


def write_table(path: Path, num_rows: int, *, strings: bool) -> None:
    rng = np.random.default_rng(0)
    weight = np.arange(1, ITEMS + 1) ** -0.8
    frame = pd.DataFrame(
        {
            "user_id": rng.integers(USERS, size=num_rows),
            "item_id": rng.choice(ITEMS, num_rows, p=weight / weight.sum()),
            "rating": rng.integers(1, 11, num_rows) / 2,
            "timestamp": rng.integers(10**9, 2 * 10**9, num_rows),
        }
    )
    if strings:
        frame["user_id"] = "user-" + frame["user_id"].astype(str)
        frame["item_id"] = "item-" + frame["item_id"].astype(str)
    frame.to_csv(path, index=False)


def ours(path: Path, split: str) -> int:
    from pyg_advinfonce.datasets import load_dataset

    with tempfile.TemporaryDirectory() as cache:
        dataset = load_dataset(
            str(path), cache_dir=Path(cache), positive_if="rating >= 3", split=split
        )
    return dataset.graph["user", "interacts", "item"].edge_index.size(1)


def folder(path: Path, split: str) -> int:
    from pyg_advinfonce.datasets import make_split
    from pyg_advinfonce.datasets.splits import SplitOptions
    from pyg_advinfonce.datasets.tables import TableOptions

    made = make_split(
        str(path),
        path.parent / f"split-{split}",
        table=TableOptions(positive_if="rating >= 3"),
        split=SplitOptions(split),
    )
    return made.manifest["counts"]["train"]


def pandas_alone(path: Path, split: str) -> int:
    return len(pd.read_csv(path))


def naive(path: Path, split: str) -> int:
    frame = pd.read_csv(path)
    frame = frame[frame["rating"] >= 3].drop_duplicates(["user_id", "item_id"])
    if split == "leave-last":
        frame = frame.sort_values("timestamp")
        to_end = frame.groupby("user_id").cumcount(ascending=False)
        return int((to_end >= 2).sum())
    return len(frame.groupby("user_id").sample(frac=0.8, random_state=0))


WAYS = {
    "pandas read_csv alone": pandas_alone,
    "pandas and groupby": naive,
    "load_dataset(table)": ours,
    "advnce data split": folder,
}


def measure(way: str, path: Path, split: str) -> list[str]:
    words = [sys.executable, __file__, "--way", way, "--path", path, "--split", split]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout.split()


def run_way(way: str, path: Path, split: str) -> None:
    warnings.simplefilter("ignore")
    started = time.perf_counter()
    number = WAYS[way](path, split)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(f"{seconds:.1f} {peak:.0f} {number}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--strings", action="store_true", help="ids that are strings")
    parser.add_argument("--split", default="random", choices=["random", "leave-last"])
    parser.add_argument("--way", choices=list(WAYS), help="time one, on --path")
    parser.add_argument("--path", type=Path)
    args = parser.parse_args()
    if args.way:
        run_way(args.way, args.path, args.split)
        return
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "table.csv"
        write_table(path, args.rows, strings=args.strings)
        size = path.stat().st_size / 2**20
        print(f"{args.rows:,} rows, {size:.0f} MB of CSV, split {args.split}\n")
        rows = [[way, *measure(way, path, args.split)] for way in WAYS]
    print_table(["way", "seconds", "peak MB", "train pairs"], rows)


if __name__ == "__main__":
    main()
