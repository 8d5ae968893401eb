"""Train LightGCN + BPR with this library and with others, and compare.

    pip install -r benchmarks/requirements-peers.txt  # see its comments
    python benchmarks/bench_peers.py --data ml1m --data-root DIR --valid-fraction 0.1

All train the same pairs: embeddings of 64 numbers, three layers, batches of 2,048, one
negative per positive, every train pair once per epoch, one thread. Adam's rate is 1e-3
and the L2 weight 1e-4; LensKit keeps its AdamW. Each peer runs in a process of its own
(``peers.py``), and our evaluator measures its lists. Finished peers are kept in
``--out``; another call goes on with the rest. ``--model xsimgcl`` compares XSimGCL.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from peers import BATCH, DIM, LAYERS, PEERS, K, Peer
from timing import machine, print_table

from pyg_advinfonce import Evaluator, load_dataset
from pyg_advinfonce.graph import num_nodes, split_edges

HEAD = ["peer", "version", "s of CPU per epoch", "times ours", "s per epoch (wall)"]
HEAD += ["s of CPU to rank all", "peak MB", "epochs", "s of CPU until 99 % of best"]
HEAD += [f"final valid recall@{K}", "s of CPU until ours has that"]


def train_apart(key: str, args: argparse.Namespace, evaluate: Evaluator) -> dict:
    """Train one peer in its process; return its blocks, with recalls, or its error."""
    graph = evaluate.graph
    pairs = {name: split_edges(graph, name).numpy() for name in ("train", "valid")}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        np.savez(place / "split.npz", size=np.array(num_nodes(graph)), **pairs)
        command = [sys.executable, str(Path(__file__).resolve().with_name("peers.py"))]
        command += ["--run", key, "--model", args.model, "--folder", folder]
        command += ["--seconds", str(60 * args.minutes), "--steps", str(args.steps)]
        with (place / "output.txt").open("w") as output:
            code = subprocess.call(command, stdout=output, stderr=output, cwd=folder)
        if code:
            last = (place / "output.txt").read_text(errors="replace").splitlines()[-1:]
            error = {"kind": "error", "text": f"exit status {code}: {last}"}
            if (place / "error.json").exists():
                error = json.loads((place / "error.json").read_text())
            return {"error": error}
        blocks = json.loads((place / "blocks.json").read_text())
        for number, block in enumerate(blocks):
            lists = torch.from_numpy(np.load(place / f"{number}.npy")).long()
            block["recall"] = recall(lists, evaluate)
    return {"blocks": blocks}


def recall(lists: torch.Tensor, evaluate: Evaluator) -> float:
    """Return our recall of lists ``[U, k]``, where -1 is no item."""
    user, place = (lists >= 0).nonzero().unbind(1)
    found = evaluate.given_lists(user, lists[user, place], "valid")
    return evaluate.measure(found).means()[f"valid/recall@{K}"]


def finished(key: str, args: argparse.Namespace, evaluate: Evaluator) -> dict:
    """Return the result of a peer, kept from an earlier call or new."""
    settings = {name: getattr(args, name) for name in ("data", "minutes", "steps")}
    settings |= {
        "valid_fraction": args.valid_fraction,
        "python": platform.python_version(),
    }
    settings |= {"version": installed(PEERS[args.model][key])}
    file = args.out / f"{args.model}-{key}.json"
    if file.exists():
        found = json.loads(file.read_text())
        if found["settings"] == settings and "blocks" in found:
            return found
    found = {"settings": settings} | train_apart(key, args, evaluate)
    args.out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, indent=1) + "\n")
    return found


def installed(peer: Peer) -> str:
    try:
        return version(peer.package)
    except PackageNotFoundError:
        return "-"


def per_epoch(blocks: list[dict], time: str) -> float:
    """Return the mean seconds of an epoch, without the first block, which warms up."""
    kept = blocks[1:] or blocks
    return sum(b[time] for b in kept) / sum(b["share"] for b in kept)


def seconds_until(blocks: list[dict], recall: float) -> str:
    """Return the CPU seconds after which a recall was reached, of valid."""
    spent = 0.0
    for block in blocks:
        spent += block["cpu"]
        if block["recall"] >= recall:
            return f"{spent:.1f}"
    return "-"


def row(peer: Peer, found: dict, ours: dict, steps: int) -> list[str]:
    name, release = peer.name, found["settings"]["version"]
    if "error" in found:
        error = found["error"]
        return [f"{name}: {error['kind']}, {error['text']}", release, *["-"] * 9]
    blocks = found["blocks"]
    recalls = [block["recall"] for block in blocks]
    epoch = per_epoch(blocks, "cpu")
    epochs = sum(block["share"] for block in blocks)
    rank = sorted(block["rank_cpu"] for block in blocks)[len(blocks) // 2]
    ratio = epoch / per_epoch(ours["blocks"], "cpu") if "blocks" in ours else None
    return [
        f"{name}, scaled from blocks of {steps} steps" if peer.in_blocks else name,
        release,
        f"{epoch:.2f}",
        f"{ratio:.2f}" if ratio else "-",
        f"{per_epoch(blocks, 'wall'):.2f}",
        f"{rank:.2f}",
        f"{max(block['peak_mb'] for block in blocks):.0f}",
        f"{epochs:.2f}" if peer.in_blocks else f"{epochs:.0f}",
        seconds_until(blocks, 0.99 * max(recalls)),
        f"{recalls[-1]:.4f}",
        seconds_until(ours.get("blocks", []), recalls[-1]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="ml1m")
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--valid-fraction", type=float)
    parser.add_argument("--model", default="lightgcn", choices=list(PEERS))
    parser.add_argument("--minutes", type=float, default=10, help="of CPU, per peer")
    parser.add_argument("--steps", type=int, default=20, help="of a block, if scaled")
    parser.add_argument("--only", help="keys of peers, separated by commas")
    parser.add_argument("--out", type=Path, default=Path("runs/peers"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    options = {"root": args.data_root, "valid_fraction": args.valid_fraction}
    graph = load_dataset(args.data, **options).graph
    evaluate, peers = Evaluator(graph, k=K), PEERS[args.model]
    chosen = args.only.split(",") if args.only else list(peers)
    found = {}
    for key in dict.fromkeys(["ours", *chosen]):
        found[key] = finished(key, args, evaluate)
        print(*row(peers[key], found[key], found["ours"], args.steps), file=sys.stderr)
    users, items = num_nodes(graph)
    pairs = split_edges(graph, "train").size(1)
    print(
        f"{machine(torch.device('cpu'))}, numpy {np.__version__}, Python "
        f"{platform.python_version()}, {os.cpu_count()} cores\n"
        f"{args.model} + BPR on {args.data}: {users:,} users, {items:,} items, "
        f"{pairs:,} train pairs; D {DIM}, {LAYERS} layers, batch {BATCH:,}\n"
        f"{args.minutes:g} minutes of CPU per peer. Ratios are of CPU seconds of the "
        "process, since the machine may be shared; wall seconds beside them.\n"
    )
    print_table(
        HEAD, [row(peers[k], f, found["ours"], args.steps) for k, f in found.items()]
    )


if __name__ == "__main__":
    main()
