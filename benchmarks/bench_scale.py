"""Bytes per edge, peak memory and time by the number of edges.

    python benchmarks/bench_scale.py [--millions 1 3 10 30 100] [--out FOLDER]

LightGCN + InfoNCE on random pairs of a million users and 100,000 items, items by a
power law, D = 32, two layers. Each size runs in a process of its own, which draws the
pairs, builds the graph, the encoder and the sampler, and takes steps of 65,536 pairs
with 16 negatives each. The peak is that of the whole process. Writes ``scale.png`` and
``scale.md``.
"""

import argparse
import gc
import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import torch
from timing import peak_mb, print_table
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.encoders import LightGCN
from pyg_advinfonce.graph import build_graph
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.losses import InfoNCE
from pyg_advinfonce.machine import keep_freed_memory
from pyg_advinfonce.methods import Method
from pyg_advinfonce.objective import Step
from pyg_advinfonce.transforms import BipartiteNorm

NUM_USERS, NUM_ITEMS, DIM = 1_000_000, 100_000, 32
BATCH, NEGATIVES, STEPS = 65_536, 16, 20
SKEW = 3.0
HEAD = [
    *("edges", "bytes per edge", "of them graph", "encoder", "sampler"),
    *("peak MB", "s to draw", "s to build", "s per step"),
]


def random_pairs(num_pairs: int) -> Tensor:
    """Draw pairs ``[2, E]``, not all distinct: item ``i`` is the less likely, the
    higher its number."""  # noqa: D205, D209
    generator = torch.Generator().manual_seed(0)
    pairs = torch.empty(2, num_pairs, dtype=torch.int32)
    pairs[0].random_(0, NUM_USERS, generator=generator)
    for part in pairs[1].split(2**22):
        uniform = torch.rand(len(part), generator=generator)
        part.copy_(uniform.pow_(SKEW).mul_(NUM_ITEMS))
    return pairs


def tensor_bytes(root: object, known: set[int]) -> int:
    """Return the bytes of tensors that an object holds and that are not yet known."""
    seen, found, todo = {id(root)}, 0, [root]
    while todo:
        value = todo.pop()
        if isinstance(value, Tensor):
            storage = value.untyped_storage()
            if storage.data_ptr() not in known:
                known.add(storage.data_ptr())
                found += storage.nbytes()
        for part in gc.get_referents(value):
            if id(part) not in seen and not isinstance(part, type | ModuleType):
                seen.add(id(part))
                todo.append(part)
    return found


def build(pairs: Tensor) -> tuple[HeteroData, Method, EdgeSampler]:
    graph = build_graph(pairs, num_users=NUM_USERS, num_items=NUM_ITEMS)
    graph = BipartiteNorm()(graph)
    torch.manual_seed(0)
    encoder = LightGCN(NUM_USERS, NUM_ITEMS, DIM, 2)
    sampler = EdgeSampler(graph, batch_size=BATCH, num_negatives=NEGATIVES)
    encoder._relations(graph, (encoder.user, encoder.item))
    return graph, Method.compose(encoder, InfoNCE()), sampler


def measure(num_pairs: int) -> dict[str, float]:
    keep_freed_memory()
    begun = time.perf_counter()
    pairs = random_pairs(num_pairs)
    drawn = time.perf_counter()
    graph, method, sampler = build(pairs)
    built = time.perf_counter()
    del pairs
    (phase,) = method.phases
    optimizer = phase.optimizer(method.params_of(phase))
    samples = torch.randint(sampler.num_samples, (STEPS, BATCH))  # not an epoch's order
    started = time.perf_counter()
    for index, sample in enumerate(samples):
        batch = sampler.draw(sample)
        parts = phase.objective(Step(method.encoder, graph, batch, 0, index))
        optimizer.zero_grad()
        torch.stack(list(parts.values())).sum().backward()
        optimizer.step()
    done = time.perf_counter()
    num_edges, known = sampler.num_samples, set()
    parts = (graph, method.encoder._relations, sampler)
    held = [tensor_bytes(part, known) / num_edges for part in parts]
    return {
        "edges": num_edges,
        **dict(zip(("graph", "encoder", "sampler"), held, strict=True)),
        "peak_mb": peak_mb(),
        "draw": drawn - begun,
        "build": built - drawn,
        "step": (done - started) / STEPS,
    }


def row(found: dict[str, float]) -> list[str]:
    held = [found[name] for name in ("graph", "encoder", "sampler")]
    sizes = [f"{value:.1f}" for value in (sum(held), *held)]
    times = [f"{found[name]:.2f}" for name in ("draw", "build", "step")]
    return [f"{found['edges']:,.0f}", *sizes, f"{found['peak_mb']:,.0f}", *times]


def plot(results: list[dict[str, float]], path: Path) -> None:
    edges = [found["edges"] for found in results]
    held = [sum(found[n] for n in ("graph", "encoder", "sampler")) for found in results]
    panels = {
        "bytes per edge": {"held": held},
        "peak memory, GB": {"process": [found["peak_mb"] / 1024 for found in results]},
        "seconds": {
            "build": [found["build"] for found in results],
            "step": [found["step"] for found in results],
        },
    }
    figure, axes = plt.subplots(1, len(panels), figsize=(11, 3.2), layout="constrained")
    for axis, (label, lines) in zip(axes, panels.items(), strict=True):
        for name, values in lines.items():
            axis.plot(edges, values, marker="o", label=name)
        axis.set(xscale="log", xlabel="edges", ylabel=label)
        axis.legend()
    axes[0].set_ylim(0, None)
    axes[1].set_ylim(0, None)
    axes[2].set_yscale("log")
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--millions", type=float, nargs="+", default=[1, 3, 10, 30, 100]
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--one", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.one:
        print(json.dumps(measure(int(args.one * 1e6))))
        return
    results = []
    for size in args.millions:
        command = [sys.executable, __file__, "--one", str(size)]
        command += ["--threads", str(args.threads)]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        results.append(json.loads(answer.stdout))
        print(results[-1], file=sys.stderr)
    args.out.mkdir(parents=True, exist_ok=True)
    rows = [row(found) for found in results]
    print_table(HEAD, rows)
    lines = [" | ".join(line) for line in (HEAD, ["---"] * len(HEAD), *rows)]
    (args.out / "scale.md").write_text("".join(f"| {line} |\n" for line in lines))
    plot(results, args.out / "scale.png")


if __name__ == "__main__":
    main()
