"""Lower bounds of a training step: the least work of a method over measured rates.

A step cannot take less than its work at the rates of the kernels that do it, one after
another on one thread: multiply-adds of dense and of sparse products, bytes to and from
memory, random numbers. Exponentials and other arithmetic are free here, and so is what
fits a cache.
"""

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass, fields

import torch
from torch import nn
from torch_geometric.data import HeteroData

from pyg_advinfonce import ops
from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.config import Config
from pyg_advinfonce.graph import INTERACTS, num_nodes
from pyg_advinfonce.methods import Method
from pyg_advinfonce.transforms import JointGraph

BYTES = 4  # of a float32


@dataclass(frozen=True)
class Work:
    """Work of a step, or the rates per second at which a machine does it.

    Attributes:
        dense: Multiply-adds of dense products.
        sparse: Multiply-adds of sparse products: entries times columns.
        memory: Bytes read from and written to memory.
        random: Random numbers.
    """

    dense: float = 0.0
    sparse: float = 0.0
    memory: float = 0.0
    random: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        parts = zip(astuple(self), astuple(other), strict=True)
        return Work(*(a + b for a, b in parts))

    def __mul__(self, times: float) -> "Work":
        return Work(*(times * x for x in astuple(self)))

    def ms_at(self, rates: "Work") -> float:
        """Return the time at given rates."""
        parts = zip(astuple(self), astuple(rates), strict=True)
        return 1e3 * sum(amount / rate for amount, rate in parts)


def rates_of(graph: HeteroData, clock: Callable[[], float]) -> Work:
    """Measure this machine's rates: the fastest of some calls."""
    device = graph[INTERACTS].edge_index.device
    weight = graph[INTERACTS].edge_weight
    size, dim = num_nodes(graph), 64
    adjacency = ops.Adjacency.from_edge_index(
        graph[INTERACTS].edge_index, weight, *size
    )
    x, y = torch.randn(2, 2048, dim, device=device)
    table = torch.randn(size[0], dim, device=device)
    source = torch.randn(2**25, device=device)
    target = torch.empty_like(source)

    def rate(amount: float, call: Callable[[], object]) -> float:
        call()
        times = []
        for _ in range(7):
            started = clock()
            call()
            if device.type == "cuda":
                torch.cuda.synchronize()
            times.append(clock() - started)
        return amount / min(times)

    dense = 2048**2 * dim
    return Work(
        dense=max(
            rate(dense, lambda: ops.product(x, y)),
            rate(dense, lambda: torch.mm(x, y.t())),
        ),
        sparse=rate(weight.numel() * dim, lambda: ops.propagate(adjacency, table)),
        memory=rate(2 * BYTES * source.numel(), lambda: target.copy_(source)),
        random=rate(2**22, lambda: torch.rand(2**22, device=device)),
    )


def print_rates(rates: Work) -> None:
    """Print rates in billions per second."""
    named = zip(fields(rates), astuple(rates), strict=True)
    found = ", ".join(f"{field.name} {value / 1e9:.1f}" for field, value in named)
    print(f"measured rates, 10^9 per second (median): {found}")


def least_work(
    name: str, config: Config, method: Method, graph: HeteroData, batch: EdgeBatch
) -> Work:
    """Return the least work of one step of a method.

    Each of its parts is documented where it is added; a backward pass multiplies twice
    as much as its forward pass.
    """
    model, _, loss = name.partition("-")
    users, items = num_nodes(graph)
    num_pairs, size = graph[INTERACTS].num_edges, batch.src_index.numel()
    encoder: nn.Module = method.encoder
    dim = next(encoder.parameters()).size(1)
    # the gradient is written; Adam reads it, and reads and writes three tables
    numbers = sum(p.numel() for p in method.parameters() if p.requires_grad)
    work = Work(memory=8 * BYTES * numbers)
    layer = Work(sparse=2 * (2 * num_pairs) * dim)  # both directions and passes
    depth = len(getattr(encoder, "convs", ()))
    distinct = (batch.src_index.unique().numel(), batch.dst_pos_index.unique().numel())
    sampled = Work(sparse=3 * batch.dst_neg_index.numel() * dim)
    in_batch = scores(size, size, dim)
    contrast = scores(distinct[0], distinct[0], dim) + scores(
        distinct[1], distinct[1], dim
    )
    noise = Work(random=depth * (users + items) * dim)
    match model:
        case "mf" | "lightgcn":
            passes = 2 if loss == "invcf" else 1  # another table for popularity
            work += layer * (depth * passes)
        case "ultragcn":
            work += Work(sparse=3 * size * 10 * dim)  # neighbours of items
        case "vgae":  # two layers, two linear maps of each node, its sample
            work += layer * 2 + Work(dense=2 * 3 * (users + items) * dim**2)
            work += Work(random=(users + items) * dim)
        case "sgl":
            work += layer * (3 * depth) + contrast  # the views keep most pairs
        case "simgcl":
            work += layer * (3 * depth) + noise * 2 + contrast
        case "xsimgcl":
            work += layer * depth + noise + contrast
        case "dcl":
            drawn = Work(random=2 * num_pairs * depth)
            work += layer * (2 * depth) + drawn * 2 + contrast
        case "lightgcl":
            work += layer * depth + scores(distinct[0], users, dim)
            work += scores(distinct[1], items, dim)
        case "ncl":
            work += layer * depth + scores(distinct[0], users, dim)
            work += scores(distinct[1], items, dim)
            work += scores(size, size, dim, sides=1) * 2  # centroids are constant
        case "autocf":
            work += attention(graph, encoder, dim)
            work += scores(distinct[0], items, dim) + scores(distinct[0], users, dim)
            work += scores(distinct[1], items, dim)
    match loss:
        case "xir":
            half = method.loss.cache_size // 2  # draws of each of two kinds
            work += in_batch + scores(size, 2 * half, dim)
            work += draws(size * half, size) + draws(size * half, 2 * half)
        case "bir":
            work += in_batch + draws(size * size, size)
        case "hdccf":  # users with items, and each pair of a kind once
            work += in_batch * 2
        case "directau":
            work += in_batch  # each pair of two kinds once
        case "invcf":  # two tables, and twice their concatenation
            work += sampled * 6
        case _:
            work += sampled
    return work


def scores(num_src: int, num_dst: int, dim: int, sides: int = 2) -> Work:
    """Score rows with rows, with the gradients of one or both sides."""
    return Work(dense=(1 + sides) * num_src * num_dst * dim)


def draws(number: int, size: int) -> Work:
    """Draw columns by bisection: a number, and a probability read per level."""
    return Work(random=number, memory=BYTES * number * math.log2(size))


def attention(graph: HeteroData, encoder: nn.Module, dim: int) -> Work:
    """AutoCF's propagation and attention, forward and backward.

    Per edge: scores and their gradients, the sum, and the sums of three gradients. Each
    head reads an index and a weight per edge and product, and permutes two weights for
    the transpose. The rebuilt graph has up to one more edge per link, both directions.
    """
    links = JointGraph()(graph).num_edges
    edges = 2 * links  # after random links, which overlap a little
    products, heads = 6, encoder.transformer.num_heads
    memory = heads * edges * BYTES * (2 * products + 2 * 3)
    linear = Work(dense=3 * 3 * sum(num_nodes(graph)) * dim**2)
    return Work(sparse=products * edges * dim, memory=memory) + linear
