"""How well new users are served without training, beside the same users trained.

    python benchmarks/bench_fold_in.py --data yahoo --data-root DIR [--epochs 25]

A share of the users is left out of training and folded in by the train pairs that they
would have had; their recall is that of the held-out pairs, as always.
"""

import argparse
from pathlib import Path
from types import SimpleNamespace

import torch
from timing import print_table

from pyg_advinfonce.build import prepare
from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.experiment import train
from pyg_advinfonce.graph import build_graph, num_nodes, split_edges, train_degrees
from pyg_advinfonce.serving import fold_in

SPLITS = ("valid", "test")


def restricted(graph, *, train_users=None, held_out_users=None):
    """Return a graph of the pairs of some users only."""
    pairs = {name: split_edges(graph, name) for name in ("train", *SPLITS)}
    kept = {"train": train_users, **dict.fromkeys(SPLITS, held_out_users)}
    for name, mask in kept.items():
        if mask is not None:
            pairs[name] = pairs[name][:, mask[pairs[name][0]]]
    users, items = num_nodes(graph)
    train_pairs = pairs.pop("train")
    return build_graph(train_pairs, num_users=users, num_items=items, splits=pairs)


def fit(config, graph):
    data = SimpleNamespace(graph=graph, fingerprint="", summary=dict)
    return train(config, data, device="cpu").method, prepare(data, torch.device("cpu"))


def measure(model: str, args: argparse.Namespace) -> list[list[str]]:
    """Return a row each for trained, folded in and popular."""
    layers = [{"train": {"epochs": args.epochs}}]
    config = Config.resolve(model, args.loss, args.data, layers=layers)
    graph = load_dataset(args.data, root=args.data_root).graph
    torch.manual_seed(0)
    is_new = torch.rand(num_nodes(graph)[0]) < args.share
    part = restricted(graph, train_users=~is_new, held_out_users=~is_new)
    evaluate = Evaluator(restricted(graph, held_out_users=is_new))
    method, whole = fit(config, graph)
    tables = {"trained": method.embed(whole)}
    method, left = fit(config, part)
    known = split_edges(graph, "train")
    own = torch.zeros_like(tables["trained"][0])
    new, number = torch.unique(known[0][is_new[known[0]]], return_inverse=True)
    items = torch.stack([number, known[1][is_new[known[0]]]])
    own[new] = fold_in(method, left, items)
    tables["folded in"] = (own, method.embed(left)[1])
    popularity = train_degrees(part)[1].float().unsqueeze(1)
    tables["by popularity"] = (torch.ones(len(own), 1), popularity)
    return [
        [
            f"{model} + {args.loss}",
            name,
            *(f"{evaluate(*z, split)[f'{split}/recall@20']:.4f}" for split in SPLITS),
        ]
        for name, z in tables.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="yahoo")
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--loss", default="infonce")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--share", type=float, default=0.15, help="of the users")
    args = parser.parse_args()
    rows = [row for model in ("mf", "lightgcn") for row in measure(model, args)]
    print_table(["method", "users", *(f"{s} recall@20" for s in SPLITS)], rows)


if __name__ == "__main__":
    main()
