"""Time the ways to compute the two hot operations, side by side in one process.

    python benchmarks/bench_ops.py [--size yahoo --size kuairec] [--device cuda]

Propagation is one product of the whole normalised adjacency with [U + I, 64] rows,
forward only. Edge scores are [B, K] dot products, forward and backward.
"""

import argparse
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import torch
from graphs import SIZES, random_graph
from timing import machine, median_ms, print_table
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.data import HeteroData
from torch_geometric.nn import LGConv
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from pyg_advinfonce.graph import INTERACTS, num_nodes
from pyg_advinfonce.machine import keep_freed_memory
from pyg_advinfonce.ops import Adjacency, edge_scores, propagate, silence_sparse_beta

DIM = 64
BATCHES = {"coat": (1024, 64), "yahoo": (1024, 64)}


def propagation(graph: HeteroData) -> dict[str, Callable[[], object]]:
    num_users, num_items = num_nodes(graph)
    pairs, weight = graph[INTERACTS].edge_index, graph[INTERACTS].edge_weight
    user, item = pairs[0], pairs[1] + num_users
    both = torch.stack([torch.cat([user, item]), torch.cat([item, user])])
    total, device = num_users + num_items, pairs.device
    x = torch.randn(total, DIM, device=device)
    x_user, x_item = x[:num_users].contiguous(), x[num_users:].contiguous()
    to_item = Adjacency.from_edge_index(pairs, weight, num_users, num_items)
    normalised, value = gcn_norm(both, None, total, add_self_loops=False)
    coo = torch.sparse_coo_tensor(normalised.flip(0), value, (total, total)).coalesce()
    index = EdgeIndex(normalised, sparse_size=(total, total)).sort_by("col")
    conv, fixed = LGConv(), LGConv(normalize=False)
    rows = {
        "PyG LGConv on edge_index": lambda: conv(x, both),
        "PyG LGConv(normalize=False) on CSR": lambda: fixed(x, coo_csr),
        "PyG EdgeIndex.matmul": lambda: index.values.matmul(
            x, input_value=value[index.indices], transpose=True
        ),
        "torch COO product": lambda: coo @ x,
    }
    coo_csr = coo.to_sparse_csr()
    for backend in ("gather", "csr", "embedding_bag", *kernels(device)):
        rows[f"propagate, backend {backend}"] = _both(to_item, x_user, x_item, backend)
    return rows


def _both(
    adjacency: Adjacency, x_user: Tensor, x_item: Tensor, backend: str
) -> Callable[[], object]:
    def call() -> object:
        return (
            propagate(adjacency, x_user, backend=backend),
            propagate(adjacency.t(), x_item, backend=backend),
        )

    return call


def scores(graph: HeteroData, size: str) -> dict[str, Callable[[], object]]:
    num_rows, num_neg = BATCHES.get(size, (2048, 128))
    device, num_items = graph[INTERACTS].edge_index.device, num_nodes(graph)[1]
    x_src = torch.randn(num_rows, DIM, device=device).requires_grad_()
    x_dst = torch.randn(num_items, DIM, device=device).requires_grad_()
    index = torch.randint(num_items, (num_rows, num_neg), device=device)
    seed = torch.randn(num_rows, num_neg, device=device)

    def timed(score: Callable[[], Tensor]) -> Callable[[], object]:
        def call() -> None:
            x_src.grad = x_dst.grad = None
            score().backward(seed)

        return call

    rows = {
        "gather [B, K, D], then multiply": timed(
            lambda: edge_scores(x_src, x_dst, index, backend="gather")
        ),
        "all B x I scores, then gather": timed(
            lambda: (x_src @ x_dst.t()).gather(1, index)
        ),
    }
    for backend in ("fused", *kernels(device)):
        call = partial(edge_scores, x_src, x_dst, index, backend=backend)
        rows[f"edge_scores, backend {backend}"] = timed(call)
    return rows


def kernels(device: torch.device) -> tuple[str, ...]:
    """Name the backends that are kernels of Triton, where they run."""
    runs = device.type == "cuda" and find_spec("triton") is not None
    return ("triton", "bf16") if runs else ()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", action="append", choices=list(SIZES))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=2.0)
    args = parser.parse_args()
    device, sizes = torch.device(args.device), args.size or ["yahoo", "kuairec"]
    keep_freed_memory()
    silence_sparse_beta()
    torch.manual_seed(0)
    print(f"{machine(device)}, D = {DIM}, float32, medians in ms\n")
    graphs = {size: random_graph(size, device) for size in sizes}
    for kind in ("propagation", "edge scores"):
        columns = []
        for size, graph in graphs.items():
            table = propagation(graph) if kind == "propagation" else scores(graph, size)
            columns.append(
                {n: median_ms(call, seconds=args.seconds) for n, call in table.items()}
            )
        names = list(columns[0])
        rows = [[n, *(f"{column[n]:.2f}" for column in columns)] for n in names]
        print_table([kind, *sizes], rows)
        print()


if __name__ == "__main__":
    main()
