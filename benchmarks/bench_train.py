"""Time one LightGCN + AdvInfoNCE training step, written three ways.

    python benchmarks/bench_train.py --size kuairec [--device cuda]

- ``pyg``: PyG's own ``LightGCN`` on ``edge_index``, negatives gathered as [B, K, D]
- ``csr``: torch's sparse CSR product, negatives gathered as [B, K, D]
- ``ours``: this library's trainer, encoder, criterion and sampler

All three take the same graph, widths, batch and optimiser, and learn no hardness in
the timed step but score with it. Each way runs in a process of its own, one after
another, so that its peak memory is its own; sampling is part of every step.
"""

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Callable

import torch
from graphs import SIZES, random_graph
from timing import machine, median_ms, peak_mb, print_table
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus
from torch_geometric.data import HeteroData
from torch_geometric.nn import LightGCN

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.build import build_method
from pyg_advinfonce.config import Config
from pyg_advinfonce.graph import INTERACTS, num_nodes
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.machine import keep_freed_memory
from pyg_advinfonce.objective import Step
from pyg_advinfonce.ops import silence_sparse_beta
from pyg_advinfonce.training import train_only

DIM, LAYERS, TAU, WEIGHT = 64, 2, 2.0, 64.0
BATCHES = {"coat": (1024, 64), "yahoo": (1024, 64)}
Way = Callable[[HeteroData], tuple[list[nn.Parameter], Callable[[EdgeBatch], Tensor]]]


def ours(graph: HeteroData):
    config = Config.resolve(
        "lightgcn",
        "adv",
        "random",
        layers=[
            {
                "model": {"dim": DIM, "num_layers": LAYERS},
                "loss": {"tau": TAU, "negative_weight": WEIGHT},
            }
        ],
    )
    device = graph[INTERACTS].edge_index.device
    method = build_method(config, graph).to(device)
    main = method.phases[-1]
    params = method.params_of(main)

    def loss(batch: EdgeBatch) -> Tensor:
        with train_only(method, params):
            parts = main.objective(Step(method.encoder, graph, batch, 0, 0))
            return torch.stack(list(parts.values())).sum()

    return params, loss


def csr(graph: HeteroData):
    num_users, num_items = num_nodes(graph)
    pairs, weight = graph[INTERACTS].edge_index, graph[INTERACTS].edge_weight
    user, item, total = pairs[0], pairs[1] + num_users, num_users + num_items
    both = torch.stack([torch.cat([user, item]), torch.cat([item, user])])
    size = (total, total)
    matrix = torch.sparse_coo_tensor(both, torch.cat([weight, weight]), size)
    matrix = matrix.coalesce().to_sparse_csr()
    table = nn.Parameter(torch.empty(total, DIM, device=pairs.device))
    nn.init.xavier_normal_(table)

    def encode() -> Tensor:
        layer = out = table
        for _ in range(LAYERS):
            layer = matrix @ layer
            out = out + layer
        return out / (LAYERS + 1)

    return [table], gathered(graph, encode, table)


def pyg(graph: HeteroData):
    num_users, num_items = num_nodes(graph)
    pairs = graph[INTERACTS].edge_index
    user, item = pairs[0], pairs[1] + num_users
    both = torch.stack([torch.cat([user, item]), torch.cat([item, user])])
    model = LightGCN(num_users + num_items, DIM, LAYERS).to(pairs.device)
    table = model.embedding.weight
    return [table], gathered(graph, lambda: model.get_embedding(both), table)


def gathered(
    graph: HeteroData, encode: Callable[[], Tensor], table: Tensor
) -> Callable[[EdgeBatch], Tensor]:
    """Return AdvInfoNCE as one writes it with index tensors."""
    num_users, num_items = num_nodes(graph)
    psi = torch.randn(num_users, DIM, device=table.device) * 0.05
    phi = torch.randn(num_items, DIM, device=table.device) * 0.05

    def loss(batch: EdgeBatch) -> Tensor:
        user, pos = batch.src_index, batch.dst_pos_index + num_users
        neg = batch.dst_neg_index  # [B, K]
        z = encode()
        z_user, z_pos = normalize(z[user], dim=-1), normalize(z[pos], dim=-1)
        z_neg = normalize(z[neg + num_users], dim=-1)  # [B, K, D]
        pos_score = (z_user * z_pos).sum(-1) / TAU
        neg_score = (z_neg @ z_user.unsqueeze(-1)).squeeze(-1) / TAU
        logits = (phi[neg] @ psi[user].unsqueeze(-1)).squeeze(-1)
        delta = logits.log_softmax(-1) + math.log(neg.size(1))
        mass = math.log(WEIGHT) + (neg_score + delta).logsumexp(-1)
        l2 = (table[user].square().sum() + table[pos].square().sum()) / 2
        return softplus(mass - pos_score).mean() + 1e-5 * l2 / user.numel()

    return loss


WAYS: dict[str, Way] = {"pyg": pyg, "csr": csr, "ours": ours}


def measure(way: Way, size: str, device: torch.device, seconds: float) -> dict:
    keep_freed_memory()
    silence_sparse_beta()
    torch.manual_seed(0)
    graph = random_graph(size, device)
    rows, negatives = BATCHES.get(size, (2048, 128))
    sampler = EdgeSampler(graph, batch_size=rows, num_negatives=negatives)
    params, loss = way(graph)
    optimizer = torch.optim.Adam(params, lr=1e-4, fused=True)
    batches = iter(sampler)
    before = peak_mb()

    def step() -> None:
        nonlocal batches
        found = next(batches, None)
        if found is None:
            batches = iter(sampler)
            found = next(batches)
        value = loss(found[1])
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()

    return {
        "ms": median_ms(step, seconds=seconds),
        "peak_mb": peak_mb() if device.type == "cpu" else cuda_peak_mb(),
        "step_mb": max(0.0, peak_mb() - before),
    }


def cuda_peak_mb() -> float:
    return torch.cuda.max_memory_allocated() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="kuairec", choices=list(SIZES))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--way", choices=list(WAYS))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    if args.way:
        way = WAYS[args.way]
        print(json.dumps(measure(way, args.size, device, args.seconds)))
        return
    found = {}
    for name in WAYS:
        command = [sys.executable, __file__, "--way", name, "--size", args.size]
        command += ["--device", args.device, "--threads", str(args.threads)]
        command += ["--seconds", str(args.seconds)]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        found[name] = json.loads(answer.stdout)
    print(f"{machine(device)}, {args.size}, D = {DIM}, {LAYERS} layers, float32\n")
    rows = [
        [
            name,
            f"{row['ms']:.1f}",
            f"{row['ms'] / found['ours']['ms']:.1f}",
            f"{row['peak_mb']:.0f}",
        ]
        for name, row in found.items()
    ]
    print_table(["way", "ms a step", "times ours", "peak MB"], rows)


if __name__ == "__main__":
    main()
