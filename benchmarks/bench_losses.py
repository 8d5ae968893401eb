"""Fit how the time of a loss grows, beside the orders of the paper's Table 8.

    python benchmarks/bench_losses.py [--threads 1] [--seconds 1] [--device cuda]

A step is one forward pass of the loss on given embeddings, as in the table, without
the encoder and the backward pass. One of batch size B, negatives N, dimension d and
items n grows at a time; the exponent is the slope of the logarithms, by least squares.
``epoch`` is what Adap-tau adds at the start of an epoch, for M train pairs.
"""

import argparse
from collections.abc import Callable, Mapping

import numpy as np
import torch
from timing import machine, median_ms, print_table
from torch import nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.encoders import FixedEmbeddings
from pyg_advinfonce.graph import build_graph
from pyg_advinfonce.keys import pair_keys, pairs_of
from pyg_advinfonce.losses import BC, BPR, CCL, AdapTau, AdvInfoNCE, InfoNCE

USERS = 20_000
BASE = {"B": 2048, "N": 64, "d": 64, "n": 20_000, "M": 400_000}
GRID = {
    "B": [1024, 2048, 4096, 8192],
    "N": [64, 128, 256, 512],
    "d": [32, 64, 128, 256],
    "n": [5_000, 20_000, 80_000, 320_000],
    "M": [200_000, 400_000, 800_000, 1_600_000],
}
LOSSES = {
    "BPR": BPR,
    "InfoNCE": InfoNCE,
    "CCL": CCL,
    "BC loss": BC,
    "Adap-tau": AdapTau,
    "AdvInfoNCE": AdvInfoNCE,
}
PRINTED = {"B": "1", "N": "1", "d": "1", "n": "0"}


def graph_of(size: Mapping[str, int]) -> HeteroData:
    generator = torch.Generator().manual_seed(0)
    user = torch.randint(USERS, (size["M"],), generator=generator)
    item = torch.randint(size["n"], (size["M"],), generator=generator)
    pairs = torch.stack(pairs_of(pair_keys(user, item).unique()))
    return build_graph(pairs, num_users=USERS, num_items=size["n"])


def step(
    name: str, size: Mapping[str, int], device: torch.device
) -> Callable[[], object]:
    """Return one step of a loss; BPR has one negative, as in the paper."""
    options = {"hardness": {"dim": size["d"]}} if name == "AdvInfoNCE" else {}
    loss = LOSSES[name].from_graph(graph_of(BASE | {"n": size["n"]}), **options)
    loss.to(device).train()
    z_user = torch.randn(USERS, size["d"], device=device)
    z_item = torch.randn(size["n"], size["d"], device=device)
    rows, number = size["B"], 1 if name == "BPR" else size["N"]
    batch = EdgeBatch(
        torch.randint(USERS, (rows,), device=device),
        torch.randint(size["n"], (rows,), device=device),
        torch.randint(size["n"], (rows, number), device=device),
    )
    return lambda: loss(z_user, z_item, batch)


def epoch_start(size: Mapping[str, int], device: torch.device) -> Callable[[], object]:
    graph = graph_of(size).to(device)
    loss = AdapTau.from_graph(graph).to(device)
    encoder: nn.Module = FixedEmbeddings(
        user=torch.randn(USERS, size["d"], device=device),
        item=torch.randn(size["n"], size["d"], device=device),
    )
    return lambda: loss.on_epoch_start(encoder, graph, 1000)


def exponent(
    make: Callable[[Mapping[str, int]], Callable[[], object]],
    factor: str,
    seconds: float,
) -> tuple[str, list[float]]:
    """Return slope and largest residual of log time, as text, and the times in ms."""
    sizes, times = GRID[factor], []
    for value in sizes:
        times.append(median_ms(make(BASE | {factor: value}), seconds=seconds))
    x, y = np.log(sizes), np.log(times)
    slope, offset = np.polyfit(x, y, 1)
    residual = float(np.abs(y - slope * x - offset).max())
    return f"{slope:.2f} ± {residual:.2f}", times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0, help="per timing")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{machine(arguments.device)}; base {BASE}, {USERS:,} users\n")
    rows: list[list[str]] = []
    with torch.no_grad():
        for name in LOSSES:
            for factor in ("B", "N", "d", "n"):
                if (name, factor) == ("BPR", "N"):
                    continue
                found, times = exponent(
                    lambda size, name=name: step(name, size, arguments.device),
                    factor,
                    arguments.seconds,
                )
                shown = ", ".join(f"{ms:.3g}" for ms in times)
                rows.append([name, factor, PRINTED[factor], found, shown])
        for factor in ("M", "n", "d"):
            found, times = exponent(
                lambda size: epoch_start(size, arguments.device),
                factor,
                arguments.seconds,
            )
            printed = "1" if factor == "d" else "(M + n)"
            shown = ", ".join(f"{ms:.3g}" for ms in times)
            rows.append(["Adap-tau, epoch", factor, printed, found, shown])
    print_table(["loss", "factor", "printed", "fitted", "milliseconds"], rows)


if __name__ == "__main__":
    main()
