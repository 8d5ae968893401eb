"""Check and measure everything on a GPU; print one table.

    python benchmarks/gpu_check.py
    python benchmarks/gpu_check.py --device cpu --quick

Takes less than eight minutes on one H100 or H200: the tests marked ``cuda``, an epoch
against the CPU's, CUDA graphs against ordinary steps, the operations, and a step of
every method, in each of the ways of ``bench_methods.py``. Times are medians of calls
that wait for the device; the peak is what a way allocates besides the user-item graph
(on a CPU that of the process).

A part that fails is a row ``failed: ...``; the others still run, and the script ends
with status 1. ``--quick`` runs all of it on small graphs with a few methods, so that a
machine without a GPU shows that it works; its times mean nothing.
"""

import argparse
import copy
import gc
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import bench_methods
import bench_ops
import bench_train
import torch
from graphs import random_graph
from timing import machine, median_ms, peak_mb, print_table

from pyg_advinfonce.build import build_method, make_trainer
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.machine import (
    keep_freed_memory,
    use_deterministic_algorithms,
    versions,
)
from pyg_advinfonce.ops import silence_sparse_beta
from pyg_advinfonce.training import Trainer

ROOT = Path(__file__).parents[1]
STEP = "lightgcn-adv"
COMPARED = ("mf-bpr", STEP, "lightgcn-sdro")
PLAIN = ("pyg", "csr")  # of bench_train.py
QUICK = ("mf-bpr", "sgl-bpr", "ultragcn-bce")
TOLERANCE = 1e-3
HEAD = ["what", "size", "ways", "ms", "peak MB", "result"]


Ways = dict[str, Callable[[], dict[str, float] | str]]


@dataclass
class Report:
    """Rows of the table; a failure is one of them.

    Attributes:
        deadline: When no further part is begun.
    """

    device: torch.device
    deadline: float
    rows: list[list[str]] = field(default_factory=list)

    @property
    def has_failed(self) -> bool:
        return any("failed" in row[-1] for row in self.rows)

    def check(self, what: str, size: str, call: Callable[[], str]) -> None:
        """Add a row with the result of a call."""
        result, error = self._guarded(call)
        self._add([what, size, "", "", "", error or str(result)])

    def measure(self, what: str, size: str, make: Callable[[], Ways]) -> None:
        """Add a row with the time and the peak memory of each way."""
        ways, error = self._guarded(make)
        if not isinstance(ways, dict):
            self._add([what, size, "", "", "", error])
            return
        cells, results = [], []
        for way, call in ways.items():
            gc.collect()
            before = 0.0
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
                before = torch.cuda.memory_allocated() / 2**20
            found, error = self._guarded(call)
            if isinstance(found, dict):
                peak = found["peak_mb"] - before
                cells.append((f"{found['ms']:.2f}", f"{peak:.0f}"))
            else:
                cells.append((found or "failed", ""))
                results += [f"{way} {error}"] if error else []
        columns = [" / ".join(column) for column in zip(*cells, strict=True)]
        self._add([what, size, " / ".join(ways), *columns, "; ".join(results) or "ok"])

    def _guarded(self, call: Callable[[], object]) -> tuple[object, str]:
        if time.monotonic() > self.deadline:
            return None, "failed: out of time"
        try:
            return call(), ""
        except Exception as error:  # the next part may work
            said = " ".join(str(error).split()).replace("|", "/")
            return None, f"failed: {type(error).__name__}: {said:.150}"

    def _add(self, row: list[str]) -> None:
        self.rows.append(row)
        print(" | ".join(row), file=sys.stderr, flush=True)


def run_tests(quick: bool) -> str:
    """Run the tests that need the device, and those of the kernels; return the ends."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    marked = [str(f) for f in files if "pytest.mark.cuda" in f.read_text("utf-8")]
    marked = [f for f in marked if "/ops/" in f] if quick else marked
    kernels = ["-k", "not interpreter", "tests/ops/test_row_kernels.py"]
    ends = []
    for words in (["-m", "cuda", *marked], kernels):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        run = subprocess.run(
            [*command, *words],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=200,
        )
        end = (run.stdout or run.stderr).strip().splitlines()[-1]
        if run.returncode:
            raise RuntimeError(end)
        ends.append(end)
    return ", ".join(ends)


def first_epoch(name: str, size: str, device: torch.device) -> str:
    """Train the same batches on the CPU and on the device; compare the losses."""
    graph = random_graph(size, torch.device("cpu"))
    config = bench_methods.configure(name, size, "default")
    method = build_method(config, graph)
    torch.manual_seed(0)
    rows = min(256, config.train.batch_size)
    batches = [batch for _, batch in EdgeSampler(graph, batch_size=rows)][:50]
    found = []
    for place in (torch.device("cpu"), device):
        own = copy.copy(graph).to(place)
        sampler = [(own, batch.to(place)) for batch in batches]
        trainer = Trainer(
            copy.deepcopy(method).to(place),
            own,
            sampler,
            Evaluator(own),
            epochs=1,
            monitor=None,
        )
        trainer.fit()
        found.append(trainer.history[0].losses)
    pairs = zip(found[0].values(), found[1].values(), strict=True)
    worst = max(abs(a - b) / max(abs(a), 1e-12) for a, b in pairs)
    said = f"losses differ by at most {worst:.0e}, relative"
    if not worst <= TOLERANCE:
        raise ValueError(f"{said} (expected {TOLERANCE})")
    return said


def graphs_are_equal(size: str) -> str:
    """Train with and without graphs in a process with deterministic kernels."""
    command = [sys.executable, __file__, "--equal", size]
    run = subprocess.run(command, capture_output=True, text=True, timeout=150)
    end = (run.stdout or run.stderr).strip().splitlines()[-1]
    if run.returncode:
        raise RuntimeError(end)
    return end


def compare_graphs(size: str) -> None:
    """Compare histories and weights of both ways, bit by bit."""
    use_deterministic_algorithms()
    device = torch.device("cuda")
    for name in COMPARED:
        states = []
        for way in ("ours", "graph"):
            graph = copy.copy(random_graph(size, device))
            config = bench_methods.configure(name, size, "default", way)
            few = {"epochs": 3, "batch_size": 512, "eval_every": 1000}
            config = config.updated({"train": few})
            method = build_method(config, graph).to(device)
            trainer = make_trainer(config, method, graph, ())
            trainer.monitor = None
            trainer.fit()
            losses = [record.losses for record in trainer.history]
            states.append((losses, list(method.state_dict().values())))
        (losses, weights), (other_losses, other_weights) = states
        if losses != other_losses or not all(map(torch.equal, weights, other_weights)):
            sys.exit(f"{name}: {losses} without a graph, {other_losses} with one")
    print(f"{', '.join(COMPARED)}: losses and weights are equal")


def of_ops(
    make: Callable[[], dict[str, Callable[[], object]]], args: argparse.Namespace
) -> Ways:
    """Return a measurement of each operation."""

    def measure(call: Callable[[], object]) -> dict[str, float]:
        ms = median_ms(call, seconds=args.seconds)
        return {"ms": ms, "peak_mb": memory_mb(args.device)}

    return {name: partial(measure, call) for name, call in make().items()}


def of_methods(
    name: str, size: str, ways: Iterable[str], args: argparse.Namespace
) -> Ways:
    """Return a measurement of a method's step in each way."""
    options = SimpleNamespace(
        device=args.device,
        size=size,
        preset="default",
        epoch=20,
        seconds=args.seconds,
        least=3,
    )

    def measure(way: str) -> dict[str, float] | str:
        if args.device == "cpu" and way in bench_methods.SETTINGS:
            return "not on cpu"
        if way in PLAIN:
            place, plain = torch.device(args.device), bench_train.WAYS[way]
            return bench_train.measure(plain, size, place, args.seconds)
        try:
            return bench_methods.measure(name, way, options)
        except ConfigError as error:
            if "never wait" in str(error):
                return "refused"
            raise

    return {way: partial(measure, way) for way in ways}


def memory_mb(device: str) -> float:
    return peak_mb() if device == "cpu" else bench_train.cuda_peak_mb()


def run(report: Report, args: argparse.Namespace) -> None:
    """Add all rows, what takes longest last."""
    device, quick = torch.device(args.device), args.quick
    small, middle = ("coat", "coat") if quick else ("yahoo", "kuairec")

    def equal() -> str:
        return "not on cpu" if device.type == "cpu" else graphs_are_equal(small)

    def scores(size: str) -> Ways:
        return of_ops(lambda: bench_ops.scores(random_graph(size, device), size), args)

    def products(size: str) -> Ways:
        return of_ops(lambda: bench_ops.propagation(random_graph(size, device)), args)

    report.check(
        "first epoch as on the CPU", small, lambda: first_epoch(STEP, small, device)
    )
    report.check("graphs as steps, deterministic", small, equal)
    for size in dict.fromkeys((small, middle)):
        report.measure("edge scores, both passes", size, partial(scores, size))
        report.measure("propagation", size, partial(products, size))
    every = (*PLAIN, "ours", "gathered", *bench_methods.SETTINGS)
    for size in dict.fromkeys((middle, *(() if quick else ("tencent", "gowalla")))):
        steps = partial(of_methods, STEP, size, every, args)
        report.measure(f"{STEP}, a step", size, steps)
    report.check("tests", "", lambda: run_tests(quick))
    for name in QUICK if quick else bench_methods.pairs():
        steps = partial(of_methods, name, middle, ("ours", "gathered", "graph"), args)
        report.measure(f"{name}, a step", middle, steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--quick", action="store_true", help="small graphs, few steps")
    parser.add_argument("--minutes", type=float, default=7.5, help="begin no more then")
    parser.add_argument("--equal", metavar="SIZE", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.equal:
        compare_graphs(args.equal)
        return
    args.seconds = 0.02 if args.quick else 0.3
    keep_freed_memory()
    silence_sparse_beta()
    torch.manual_seed(0)
    device = torch.device(args.device)
    report = Report(device, time.monotonic() + 60 * args.minutes)
    begun = time.monotonic()
    run(report, args)
    found = ", ".join(f"{name} {v}" for name, v in versions().items())
    minutes = (time.monotonic() - begun) / 60
    print(f"{machine(device)}, {found}, {date.today()}, {minutes:.1f} minutes\n")
    print_table(HEAD, report.rows)
    sys.exit(1 if report.has_failed else 0)


if __name__ == "__main__":
    main()
