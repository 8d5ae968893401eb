"""Time a training step in two processes of one thread beside one process.

    python benchmarks/bench_columns.py [--sizes kuairec,tencent] [--losses adv,bpr] \
        [--rounds 3] [--steps 40]

LightGCN of two layers, D = 64, on random graphs of published sizes. Per size and loss
the layouts take turns: one process of one thread, one of two, two of one. A step is
what the trainer does: draw, forward, backward, check, Adam. Prints the median wall and
CPU time per step and process over all rounds, the bytes that a step sums, and the peak
memory of a process.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from itertools import pairwise
from statistics import median

import torch
from graphs import SIZES, random_graph
from timing import machine, peak_mb, print_table

from pyg_advinfonce.build import build_method
from pyg_advinfonce.config import Config
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.machine import keep_freed_memory
from pyg_advinfonce.ranks import dividing, joined
from pyg_advinfonce.training import Callback, Trainer

LAYOUTS = {"1 x 1": (1, 1), "1 x 2": (1, 2), "2 x 1": (2, 1)}  # processes, threads
BATCH = 2048
NEGATIVES = {"adv": 128, "bpr": 1}
WARM_UP = 5


class Clock(Callback):
    """Notes the wall and CPU time of steps, and ends after enough of them."""

    def __init__(self, steps: int) -> None:
        self.left, self.times = steps, [self._now()]

    def on_step(self, trainer: Trainer, share: float) -> None:
        self.times.append(self._now())
        self.left -= 1
        if self.left == 0:
            raise StopIteration

    def _now(self) -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def medians(self) -> list[float]:
        """Return milliseconds of wall and of CPU, without the first steps."""
        kept = self.times[WARM_UP:]
        steps = [[b - a for a, b in zip(*pair, strict=True)] for pair in pairwise(kept)]
        return [1e3 * median(column) for column in zip(*steps, strict=True)]


def work(size: str, loss: str, steps: int) -> None:
    """Take steps in one process and print what they took."""
    keep_freed_memory()
    device = torch.device("cpu")
    with ExitStack() as stack:
        stack.enter_context(joined(device, columns=True))
        graph = random_graph(size, device)
        layers = [{"model": {"dim": 64, "num_layers": 2}}]
        method = build_method(Config.resolve("lightgcn", loss, layers=layers), graph)
        sampler = EdgeSampler(
            graph, batch_size=BATCH, num_negatives=NEGATIVES[loss], drop_last=True
        )
        clock = Clock(steps + WARM_UP)
        trainer = Trainer(
            method, graph, sampler, Evaluator(graph), monitor=None, callbacks=[clock]
        )
        ranks = dividing()
        with suppress(StopIteration, RuntimeError):  # a generator makes it the other
            trainer.fit()
        taken = steps + WARM_UP
        summed = ranks.num_bytes / taken if ranks else 0
        print(json.dumps([*clock.medians(), peak_mb(), summed]), flush=True)


def run(size: str, loss: str, layout: str, steps: int) -> list[list[float]]:
    """Run the processes of a layout and return what each has measured."""
    number, threads = LAYOUTS[layout]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(number):
        environment = {
            **os.environ,
            **{"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)},
            **{"WORLD_SIZE": str(number), "RANK": str(rank)},
            **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
        }
        words = [sys.executable, "-W", "ignore", __file__, "--work", size, loss]
        words += ["--steps", str(steps)]
        started.append(
            subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
        )
    return [json.loads(p.communicate()[0].splitlines()[-1]) for p in started]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="kuairec,tencent")
    parser.add_argument("--losses", default="adv,bpr")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(*args.work, args.steps)
        return
    rows = []
    for size in args.sizes.split(","):
        for loss in args.losses.split(","):
            found: dict[str, list[list[float]]] = {name: [] for name in LAYOUTS}
            for _ in range(args.rounds):
                for layout, every in found.items():
                    every += run(size, loss, layout, args.steps)
            base = median(row[1] for row in found["1 x 1"])
            for layout, every in found.items():
                wall, cpu, memory, summed = map(median, zip(*every, strict=True))
                cells = [f"{wall:.1f}", f"{cpu:.1f}", f"{cpu / base:.2f}"]
                cells += [f"{memory:.0f}", f"{summed:,.0f}"]
                rows.append([size, f"lightgcn-{loss}", layout, *cells])
    print(f"{machine(torch.device('cpu'))}, {args.rounds} rounds of {args.steps}\n")
    head = ["size", "pair", "processes x threads", "wall ms", "CPU ms per process"]
    print_table([*head, "CPU to 1 x 1", "peak MB per process", "bytes summed"], rows)
    print("", *(f"- {n}: {s}" for n, s in SIZES.items() if n in args.sizes), sep="\n")


if __name__ == "__main__":
    main()
