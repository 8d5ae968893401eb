"""Train AdvInfoNCE in a plain PyG loop and by this library's trainer, and compare.

    python benchmarks/compare_loops.py --data coat --data-root DIR [--seeds 5]

The plain loop is that of the README: ``LinkNeighborLoader`` in triplet mode, here with
all neighbours, PyG's uniform negatives with observed positives masked, and two
optimisers. It starts from the same weights as our trainer and has the same settings,
``train.sampling = "interaction"`` included: learning rates, batches, adversarial epochs
and the choice of the best epoch on valid. It needs a neighbour sampler.
"""

import argparse
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

from timing import print_table
from torch import Tensor
from torch.optim import Adam
from torch_geometric.data import HeteroData
from torch_geometric.loader import LinkNeighborLoader

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.build import build_method, make_trainer, prepare
from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.graph import INTERACTS, message_graph, split_edges
from pyg_advinfonce.methods import Method
from pyg_advinfonce.training import EarlyStopping, seed_everything

Way = Callable[[Config, Method, HeteroData], None]


def our_trainer(config: Config, method: Method, graph: HeteroData) -> None:
    make_trainer(config, method, graph, ()).fit()


def plain_loop(config: Config, method: Method, graph: HeteroData) -> None:
    model, criterion, settings = method.encoder, method.loss, config.train
    seed_everything(settings.seed, 0, 0)
    loader, known = (
        loader_of(config, model.num_hops, graph),
        split_edges(graph, "train"),
    )
    fit = Adam(model.parameters(), lr=settings.lr)
    attack = Adam(
        criterion.hardness.parameters(), lr=criterion.adversary_lr, maximize=True
    )
    evaluator, stopping = Evaluator(graph), EarlyStopping(settings.patience)
    for epoch in range(settings.epochs):
        for optimizer in (attack, fit) if criterion.is_adversarial(epoch) else (fit,):
            for sample in loader:
                batch = EdgeBatch.from_hetero(sample, exclude=known)
                z = model(sample)
                loss = criterion(z.user, z.item, batch)
                loss = loss + settings.l2 * penalty(*z.layers[0], batch)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        if (epoch + 1) % settings.eval_every == 0:
            found = evaluator(*method.embed(graph), "valid")
            stopping.update(found["valid/recall@20"], epoch, method)
        if stopping.should_stop:
            break
    stopping.restore(method)


def loader_of(config: Config, num_hops: int, graph: HeteroData) -> LinkNeighborLoader:
    return LinkNeighborLoader(
        message_graph(graph),
        num_neighbors=[-1] * num_hops,
        batch_size=config.train.batch_size,
        shuffle=True,
        drop_last=True,
        edge_label_index=(INTERACTS, split_edges(graph, "train")),
        neg_sampling={"mode": "triplet", "amount": config.train.num_negatives},
    )


def penalty(user: Tensor, item: Tensor, batch: EdgeBatch) -> Tensor:
    rows = user[batch.src_index], item[batch.dst_pos_index]
    return sum(x.square().sum() for x in rows) / (2 * batch.src_index.numel())


def recalls(way: Way, options: argparse.Namespace) -> Iterator[float]:
    """Train every seed and yield its recall on test."""
    dataset = load_dataset(options.data, root=options.data_root)
    graph = prepare(dataset, "cpu")
    for seed in range(options.seeds):
        train = {"seed": seed, "sampling": "interaction"}
        if options.epochs:
            train["epochs"] = options.epochs
        config = Config.resolve(
            "lightgcn", "adv", options.data, layers=[{"train": train}]
        )
        method = build_method(config, graph)
        way(config, method, graph)
        yield Evaluator(graph)(*method.embed(graph), "test")["test/recall@20"]


def row(name: str, found: list[float]) -> list[str]:
    spread = statistics.stdev(found) if len(found) > 1 else 0.0
    values = " ".join(f"{x:.4f}" for x in found)
    return [name, f"{statistics.mean(found):.4f}", f"{spread:.4f}", values]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="simulated")
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0 on")
    parser.add_argument("--epochs", type=int, help="the most epochs to run")
    options = parser.parse_args()
    ways = {"our trainer": our_trainer, "plain PyG loop": plain_loop}
    found = {name: list(recalls(way, options)) for name, way in ways.items()}
    head = ["way", "mean Recall@20", "std", "by seed"]
    print_table(head, [row(name, values) for name, values in found.items()])
    ours, plain = (statistics.mean(values) for values in found.values())
    print(f"\nplain - ours: {plain - ours:+.4f}")


if __name__ == "__main__":
    main()
