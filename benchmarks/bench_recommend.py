"""Time the best items of every user, exactly, in the size of Tencent.

    python benchmarks/bench_recommend.py [--size tencent] [-k 20] [--train]

Each way runs in a process of its own, so that its peak memory is its own. Random tables
and pairs go through the code of the command, to a file of each format. With ``--train``
a run of one epoch is trained and ``advnce recommend RUN --users all`` timed as a whole,
its data being simulated again included.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from timing import print_table

FORMATS = ("csv", "jsonl", "parquet")
ADVNCE = [sys.executable, "-m", "pyg_advinfonce.cli.main"]


def random_tables(size: str, kind: str, k: int, out: Path) -> None:
    """List items for all users by random embeddings, without their train pairs."""
    import torch

    from pyg_advinfonce.datasets.simulated import SIZES
    from pyg_advinfonce.graph import build_graph
    from pyg_advinfonce.losses import BPR
    from pyg_advinfonce.methods import build_mf
    from pyg_advinfonce.serving import Recommender, save_lists

    torch.manual_seed(0)
    shape = SIZES[size]
    ends = (shape.num_users, shape.num_items)
    pairs = torch.stack([torch.randint(n, (shape.num_train,)) for n in ends])
    graph = build_graph(pairs, num_users=ends[0], num_items=ends[1])
    save_lists(Recommender(build_mf(graph, BPR()), graph).stream(k=k), out, kind)


def measure(command: list[str], threads: int) -> list[str]:
    """Run a command; return its seconds, its seconds of CPU and its peak memory."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {' '.join(command)}")
    wall, cpu = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    return [f"{wall:.1f}", f"{cpu:.1f}", f"{usage.ru_maxrss / 2**10:.0f}"]


def measure_run(args: argparse.Namespace, folder: Path) -> list[list[str]]:
    """Train one epoch, then time the command for each format."""
    words = ["train", "mf", "--loss", "bpr", "--data", f"simulated:{args.size}"]
    run = folder / "run"
    command = [*ADVNCE, *words, "--epochs", "1", "--out", str(run), "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    words = ["recommend", str(run), "--users", "all", "-k", str(args.k), "--out"]
    return [
        [
            f"advnce recommend, {kind}",
            *measure([*ADVNCE, *words, str(folder / f"lists.{kind}")], args.threads),
        ]
        for kind in FORMATS
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="tencent")
    parser.add_argument("-k", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--train", action="store_true", help="time the command, too")
    parser.add_argument("--out", type=Path, help="write random lists here, untimed")
    args = parser.parse_args()
    if args.out:
        random_tables(args.size, args.out.suffix[1:], args.k, args.out)
        return
    same = [sys.executable, __file__, "--size", args.size, "-k", str(args.k), "--out"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [
            [
                f"random tables, {kind}",
                *measure([*same, str(folder / f"lists.{kind}")], args.threads),
            ]
            for kind in FORMATS
        ]
        if args.train:
            rows += measure_run(args, folder)
    threads = f"{args.threads} threads, load {os.getloadavg()[0]:.1f}"
    print(f"simulated:{args.size}, every user's {args.k} best, {threads}\n")
    print_table(["way", "s", "s of CPU", "peak MB"], rows)


if __name__ == "__main__":
    main()
