"""Time a main-phase step and an epoch of every method, ours and by plain gathers.

    python benchmarks/bench_methods.py [--size kuairec] [--preset repro] [--only ...]

Each method is built as ``advnce train`` builds it and trained on the simulated graph.
``gathered`` is the very same step with this library's operations replaced by what one
writes without them (``gathers.py``): PyG's ``LGConv`` over an edge list, negatives
gathered as [B, K, D], whole score matrices. ``gpu_check.py`` has further ways, which
are settings. On a CPU every method and way runs in a
process of its own, one after another, so that its peak memory is its own; on a GPU the
peak is reset instead. An epoch is its start (views, clusters, temperatures) and its
steps, sampling and optimiser included. With one thread the time is the process's on a
CPU, so that other processes matter less.

``bound`` is the least time of a step: its least work (``bounds.py``) at the rates that
its process measures, ``share`` what part of our time that is. What happens once per
epoch, e.g. clustering, is part of the epoch alone; AutoCF's new graphs, once per some
steps, are part of neither.

``--steps`` prints the steps alone: ours and gathered in turns, in this one process, so
that other work on the machine slows both, with the ratio, the bound and whether ours
takes at most half of the gathered time or reaches 70 % of the bound. All methods
together take less than eight minutes on one thread of a quiet machine. Both ways draw
their batches with this library's sampler. Not compared, and part of neither: NCL's
k-means, SGL's views and AutoCF's graphs, which are drawn before the step by the same
code.

Without ``--steps`` the last columns compare with one fixed yardstick, InfoNCE on the
same encoder, also gathered: ``limit`` is the ratio of the paper's Table 9 times 1.25.
"""

import argparse
import copy
import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, fields
from statistics import median

import torch
from bounds import Work, least_work, print_rates, rates_of
from gathers import gathered
from graphs import SIZES, random_graph
from largest import LargestArray
from timing import clock_of, machine, median_ms, once_ms, peak_mb, print_table
from torch import Tensor

from pyg_advinfonce.build import build_method, make_trainer
from pyg_advinfonce.config import Config
from pyg_advinfonce.machine import keep_freed_memory
from pyg_advinfonce.objective import Step
from pyg_advinfonce.ops import default_backends, silence_sparse_beta
from pyg_advinfonce.registry import LOSSES, MODELS, NO_LOSS
from pyg_advinfonce.training import StepGraph, seed_everything, train_only

# The paper's Table 9, seconds an epoch over those of InfoNCE on the same encoder.
TABLE_9 = {
    "lightgcn-infonce": 1.0,
    "sgl-bpr": 82.5 / 41.2,
    "ncl-bpr": 54.9 / 41.2,
    "xsimgcl-bpr": 42.1 / 41.2,
    "lightgcn-ccl": 42.1 / 41.2,
    "lightgcn-bc": 43.5 / 41.2,
    "lightgcn-adap-tau": 55.6 / 41.2,
    "lightgcn-adv": 44.6 / 41.2,
    "mf-infonce": 1.0,
    "mf-ccl": 17.2 / 16.8,
    "mf-bc": 19.1 / 16.8,
    "mf-adap-tau": 22.3 / 16.8,
    "mf-adv": 21.6 / 16.8,
}
SLACK = 1.25


def pairs() -> list[str]:
    """Name every loss on MF and LightGCN, and the other models with their first."""
    names = [f"{model}-{loss}" for model in ("mf", "lightgcn") for loss in LOSSES]
    names += [f"{name}-{next(iter(entry.losses))}" for name, entry in MODELS.items()]
    legal = {f"{name}-{loss}" for name, e in MODELS.items() for loss in e.losses}
    # A model without a loss has no steps to time.
    legal -= {f"{name}-{NO_LOSS}" for name in MODELS}
    return [name for name in dict.fromkeys(names) if name in legal]


# Ways besides the default and ``gathered``, which are settings.
SETTINGS = {
    "graph": {"cuda_graph": True},
    "triton": {"triton": True},
    "bf16": {"precision": "bf16"},
    "graph and bf16": {"cuda_graph": True, "precision": "bf16"},
}


def configure(name: str, size: str, preset: str, way: str = "ours") -> Config:
    model, _, loss = name.partition("-")
    sampled = {} if loss == "bpr" or model == "ultragcn" else {"num_negatives": 128}
    batch_size = min(2048, SIZES[size][2])
    chosen = SETTINGS.get(way, {})
    layers = [{"train": {"batch_size": batch_size, **sampled, **chosen}}]
    return Config.resolve(model, loss, size, preset=preset, layers=layers)


class Steps:
    """The steps of a method's main phase, as ``advnce train`` makes them."""

    def __init__(self, name: str, way: str, args: argparse.Namespace) -> None:
        device = torch.device(args.device)
        self.graph = copy.copy(random_graph(args.size, device))
        self.config = configure(name, args.size, args.preset, way)
        self.method = build_method(self.config, self.graph).to(device)
        self.trainer = make_trainer(self.config, self.method, self.graph, ())
        phase, optimizer = next(p for p in self.trainer.phases if p[0].params is None)
        self._params, self._objective = self.method.params_of(phase), phase.objective
        self._optimizer, self._samples = optimizer, iter(())
        epochs = (e for e in range(1000) if phase.active(e) and e >= args.epoch)
        self._epoch = next(epochs)
        uses_graph = self.config.train.cuda_graph
        self._take = StepGraph(self._step) if uses_graph else self._step

    def begin(self) -> None:
        """Start the epoch."""
        seed_everything(0, self._epoch, 0)
        self._objective.on_epoch_start(self.method.encoder, self.graph, self._epoch)
        self.method.train()

    @contextmanager
    def training(self) -> Iterator[None]:
        """Let only what the phase trains have gradients."""
        backends = default_backends(**self.trainer.backends)
        with train_only(self.method, self._params), backends:
            yield

    def __call__(self) -> None:
        """Take a step, sampling included."""
        sample = next(self._samples, None)
        if sample is None:
            self._samples = iter(self.trainer.sampler.samples())
            sample = next(self._samples)
        self._take(sample)

    def _step(self, sample: Tensor) -> tuple[Tensor, ...]:
        batch = self.trainer.sampler.draw(sample)
        parts = self._objective(
            Step(self.method.encoder, self.graph, batch, self._epoch, 1)
        )
        self._optimizer.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        self._optimizer.step()
        return ()

    def least_work(self, name: str) -> Work:
        """Return the least work of a step."""
        batch = next(iter(self.trainer.sampler))[1]
        return least_work(name, self.config, self.method, self.graph, batch)


def measure(name: str, way: str, args: argparse.Namespace) -> dict[str, float]:
    """Time one method in this process."""
    keep_freed_memory()
    silence_sparse_beta()
    device = torch.device(args.device)
    steps, clock = Steps(name, way, args), clock_of(device)
    with gathered() if way == "gathered" else LargestArray() as largest:
        started = clock()
        steps.begin()
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = clock() - started
        with steps.training():
            steps()
            if largest is not None:
                largest.stop()
            for _ in range(4 if steps.config.train.cuda_graph else 0):
                steps()  # the capture is the fourth
            ms = median_ms(steps, seconds=args.seconds, least=args.least, clock=clock)
    memory = torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else 0
    memory = memory or peak_mb()
    rates = rates_of(steps.graph, clock)
    return {
        **asdict(rates),
        "bound": steps.least_work(name).ms_at(rates),
        "ms": ms,
        "epoch": start + len(steps.trainer.sampler) * ms / 1e3,
        "peak_mb": memory,
        "largest_mb": largest.megabytes if largest is not None else 0.0,
    }


def in_turns(name: str, rates: Work, args: argparse.Namespace) -> list[str]:
    """Time steps of ours and of the gathered way in turns, a warm-up each first."""
    clock = clock_of(torch.device(args.device))
    ways = {"ours": (nullcontext, 5), "gathered": (gathered, 1)}
    steps = {way: Steps(name, way, args) for way in ways}
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(1 + args.least):
        for way, (operations, number) in ways.items():
            with operations():
                if turn == 0:
                    steps[way].begin()
                with steps[way].training():
                    found = [
                        once_ms(steps[way], clock) for _ in range(number if turn else 1)
                    ]
            times[way] += found if turn else []
    ours, plain = (median(times[way]) for way in ways)
    bound = steps["ours"].least_work(name).ms_at(rates)
    share = bound / ours
    met = "yes" if ours <= plain / 2 or share >= 0.7 else "no"
    cells = [name, f"{ours:.1f}", f"{plain:.0f}", f"{plain / ours:.1f}", f"{bound:.1f}"]
    return [*cells, f"{100 * share:.0f} %", met]


def print_steps(names: list[str], args: argparse.Namespace) -> None:
    """Print the table of ``--steps``."""
    keep_freed_memory()
    silence_sparse_beta()
    device = torch.device(args.device)
    rates = rates_of(random_graph(args.size, device), clock_of(device))
    found = []
    for name in names:
        found.append(in_turns(name, rates, args))
        print(" ".join(found[-1]), file=sys.stderr)
    print(f"{machine(device)}, {args.size}, preset {args.preset}, float32")
    print_rates(rates)
    print()
    head = ["method", "ms", "gathered ms", "ratio", "bound", "share", "half or 70 %"]
    print_table(head, found)


def apart(name: str, way: str, args: argparse.Namespace) -> dict[str, float]:
    """Time one method so that its peak memory is its own."""
    if torch.device(args.device).type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return measure(name, way, args)
    command = [sys.executable, __file__, *sys.argv[1:], "--run", name, "--way", way]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(answer.stdout)
    return found


def row(name: str, ours: dict, plain: dict | None, yardstick: dict | None) -> list[str]:
    cells = [
        name,
        f"{ours['ms']:.1f}",
        f"{ours['bound']:.1f}",
        f"{100 * ours['bound'] / ours['ms']:.0f} %",
        f"{ours['epoch']:.1f}",
        f"{ours['peak_mb']:.0f}",
    ]
    cells.append(f"{ours['largest_mb']:.0f}")
    cells.append(
        f"{plain['ms']:.0f} ({plain['ms'] / ours['ms']:.1f}x)" if plain else ""
    )
    cells.append(f"{plain['peak_mb']:.0f}" if plain else "")
    if yardstick is None:
        return [*cells, "", ""]
    limit = f"{SLACK * TABLE_9[name]:.2f}" if name in TABLE_9 else ""
    return [*cells, f"{ours['epoch'] / yardstick['epoch']:.3f}", limit]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="kuairec", choices=list(SIZES))
    parser.add_argument("--preset", default="default")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--least", type=int, default=3, help="the fewest timed steps")
    parser.add_argument("--epoch", type=int, default=20, help="NCL clusters from 20 on")
    parser.add_argument("--only", help="methods, e.g. sgl-bpr,ncl-bpr")
    parser.add_argument("--no-gathered", action="store_true", help="time ours alone")
    parser.add_argument("--steps", action="store_true", help="both ways in turns")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        print(json.dumps(measure(args.run, args.way, args)))
        return
    names = args.only.split(",") if args.only else pairs()
    if args.steps:
        print_steps(names, args)
        return
    device, found, yardsticks = torch.device(args.device), [], {}
    rates = []
    for name in names:
        ours = apart(name, "ours", args)
        rates.append([ours[field.name] for field in fields(Work)])
        plain = None if args.no_gathered else apart(name, "gathered", args)
        kind = "mf" if name.startswith("mf-") else "lightgcn"
        if kind not in yardsticks and not args.no_gathered:
            yardsticks[kind] = apart(f"{kind}-infonce", "gathered", args)
        found.append(row(name, ours, plain, yardsticks.get(kind)))
        print(" ".join(found[-1]), file=sys.stderr)
    print(f"{machine(device)}, {args.size}, preset {args.preset}, float32")
    print_rates(Work(*map(median, zip(*rates, strict=True))))
    print()
    head = [
        "method",
        "ms a step",
        "bound, ms",
        "share",
        "s an epoch",
        "peak MB",
        "largest array MB",
    ]
    head += ["gathered, ms a step", "gathered, peak MB", "epoch / InfoNCE", "limit"]
    print_table(head, found)


if __name__ == "__main__":
    main()
