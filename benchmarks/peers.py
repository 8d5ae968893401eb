"""The peers of ``bench_peers.py``: one function per way to train, run in its process.

    python benchmarks/peers.py --run warprec --folder DIR --seconds 180

``DIR/split.npz`` holds the pairs. The process writes the lists of every user after each
block of training, ``DIR/0.npy`` and so on, and ``DIR/blocks.json`` with the times. Only
the package that is measured is imported, so that the peak memory is its own.
"""

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

THREADS = ("OMP", "MKL", "OPENBLAS", "NUMBA", "LK", "LK_BACKEND")
os.environ.update({f"{name}_NUM_THREADS": "1" for name in THREADS})
os.environ.update(LK_NUM_BACKEND_THREADS="1", LK_NUM_PROCS="1", POLARS_MAX_THREADS="1")

import numpy as np  # noqa: E402  (the number of threads is read on import)
import scipy.sparse as sp  # noqa: E402

DIM, LAYERS, BATCH, K, LR, L2 = 64, 3, 2048, 20, 1e-3, 1e-4
XSIMGCL = {"noise": 0.2, "layer": 1, "weight": 0.2, "tau": 0.15}
USERS = 1024  # ranked at once, where the caller chooses


class TimeUpError(Exception):
    """The peer has trained as long as it may."""


@dataclass
class Split:
    """Train and validation pairs ``[2, E]``, in rows of users and items."""

    folder: Path
    train: np.ndarray
    valid: np.ndarray
    num_users: int
    num_items: int

    @classmethod
    def load(cls, folder: Path) -> "Split":
        with np.load(folder / "split.npz") as found:
            return cls(folder, found["train"], found["valid"], *map(int, found["size"]))

    @property
    def matrix(self) -> sp.csr_matrix:
        user, item = self.train
        size = (self.num_users, self.num_items)
        ones = np.ones(len(user), np.float32)
        return sp.coo_matrix((ones, (user, item)), size).tocsr()


class Stopwatch:
    """Times blocks of training and keeps the lists after each; ranking is apart.

    The CPU seconds of the process are what counts: the machine may be shared.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder, self.seconds = folder, seconds
        self.blocks: list[dict[str, float]] = []
        self.trained = 0.0

    def start(self) -> None:
        """Begin to train: what came before is preparation."""
        self.begun = time.process_time(), time.perf_counter()

    def lap(self) -> tuple[float, float]:
        cpu, wall = self.begun
        self.start()
        return self.begun[0] - cpu, self.begun[1] - wall

    def block(
        self,
        rank: Callable[[], np.ndarray],
        share: float = 1.0,
        *,
        sample: Callable[[], object] | None = None,
        sampled: float = 1.0,
    ) -> None:
        """End a block of ``share`` epochs, rank everybody and go on.

        Args:
            rank: Returns the lists ``[U, k]``, padded by -1.
            share: Share of an epoch in the block.
            sample: Ranks a share of the users; timed instead of ``rank``.
            sampled: That share.

        Raises:
            TimeUpError: If no time is left.
        """
        cpu, wall = self.lap()
        lists = rank()
        if sample is not None:
            self.start()
            sample()
        rank_cpu, rank_wall = self.lap()
        peak = peak_mb()
        np.save(self.folder / f"{len(self.blocks)}.npy", lists.astype(np.int32))
        found = {"cpu": cpu, "wall": wall, "share": share, "peak_mb": peak}
        found |= {"rank_cpu": rank_cpu / sampled, "rank_wall": rank_wall / sampled}
        self.blocks.append(found)
        (self.folder / "blocks.json").write_text(json.dumps(self.blocks))
        self.trained += cpu
        if self.trained >= self.seconds:
            raise TimeUpError
        self.start()


def peak_mb() -> float:
    """Return the largest resident memory so far, in MB (Linux).

    Not ``ru_maxrss``, which begins with the memory of the process that started this.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**10


def top_items(
    scores: Callable[[np.ndarray], object], users: np.ndarray, seen: sp.csr_matrix
) -> np.ndarray:
    """Return the best items of users by scores ``[n, I]``, without seen pairs."""
    import torch

    lists = []
    with torch.no_grad():
        for start in range(0, len(users), USERS):
            part = users[start : start + USERS]
            score = scores(part)
            score[seen[part].nonzero()] = -torch.inf
            lists.append(score.topk(K).indices.numpy())
    return np.concatenate(lists)


def ours(split: Split, watch: Stopwatch, model: str = "lightgcn") -> None:
    import torch

    from pyg_advinfonce import Config, build_graph
    from pyg_advinfonce.build import assemble
    from pyg_advinfonce.serving import Recommender
    from pyg_advinfonce.training import Callback

    class Report(Callback):
        def on_epoch_end(self, trainer, record) -> None:
            watch.block(lambda: lists(trainer))

    def lists(trainer) -> np.ndarray:
        found = Recommender(trainer.method, trainer.graph, seen="train").recommend(k=K)
        return found["item"].to_numpy().reshape(split.num_users, K)

    train = {"lr": LR, "l2": L2, "batch_size": BATCH, "num_negatives": 1}
    train |= {"sampling": "interaction", "drop_last": False}
    train |= {"epochs": 10**6, "eval_every": 10**6}
    options = {"dim": DIM, "num_layers": LAYERS}
    options |= XSIMGCL if model == "xsimgcl" else {}
    layers = [{"model": options, "train": train}]
    graph = build_graph(
        torch.from_numpy(split.train),
        num_users=split.num_users,
        num_items=split.num_items,
        splits={"valid": torch.from_numpy(split.valid)},
    )
    config = Config.resolve(model, "bpr", "peers", layers=layers)
    trainer = assemble(config, graph, device="cpu", callbacks=[Report()])
    watch.start()
    trainer.fit()


def warprec(split: Split, watch: Stopwatch, model: str = "lightgcn") -> None:
    import lightning
    import narwhals
    import polars
    import torch
    from warprec.data.entities import Interactions
    from warprec.recommenders.collaborative_filtering_recommender import graph_based

    class Report(lightning.Callback):
        def on_train_epoch_end(self, trainer, pl_module) -> None:
            watch.block(lists)

    def lists() -> np.ndarray:
        recommender.eval()
        found = top_items(
            lambda part: recommender.predict(torch.from_numpy(part)), users, seen
        )
        recommender.train()
        return found

    users, seen = np.arange(split.num_users), split.matrix
    frame = polars.DataFrame(
        dict(zip(("user_id", "item_id"), split.train, strict=True))
    )
    interactions = Interactions(
        narwhals.from_native(frame),
        (split.num_users, split.num_items),
        {user: user for user in range(split.num_users)},
        {item: item for item in range(split.num_items)},
    )
    params = {"embedding_size": DIM, "n_layers": LAYERS, "reg_weight": L2}
    params |= {"batch_size": BATCH, "epochs": 10**6, "learning_rate": LR}
    params |= {"lambda_": XSIMGCL["weight"], "eps": XSIMGCL["noise"]}
    params |= {"temperature": XSIMGCL["tau"], "layer_cl": XSIMGCL["layer"]}
    kind = {"lightgcn": graph_based.LightGCN, "xsimgcl": graph_based.XSimGCL}[model]
    info = {"n_users": split.num_users, "n_items": split.num_items}
    recommender = kind(params, info, interactions)
    loader = recommender.get_dataloader(interactions, None)
    trainer = lightning.Trainer(  # as WarpRec's pipelines make it
        max_epochs=params["epochs"],
        accelerator="cpu",
        devices=1,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        callbacks=[Report()],
    )
    watch.start()
    trainer.fit(recommender, loader)


def recbole(split: Split, watch: Stopwatch) -> None:
    # RecBole 1.2.1 is older than NumPy 2 and SciPy 1.13: these names are gone there.
    names = {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_}
    for name, kind in names.items():
        setattr(np, name, kind)
    for name in ("bool", "int", "float", "object", "str", "long"):
        setattr(np, name, getattr(np, f"{name}_", np.int64))
    sp.dok_matrix._update = lambda self, pairs: self._dict.update(pairs)
    sys.argv = sys.argv[:1]  # which its Config reads

    import torch
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.model.general_recommender import LightGCN
    from recbole.trainer import Trainer
    from recbole.utils import init_seed
    from recbole.utils.case_study import full_sort_topk

    class Timed(Trainer):
        def _train_epoch(self, *args, **kwargs):
            found = super()._train_epoch(*args, **kwargs)
            watch.block(lists)
            return found

    def lists() -> np.ndarray:
        model.eval()
        found = np.full((split.num_users, K), -1)
        with torch.no_grad():
            for part in np.array_split(users, len(users) // USERS + 1):
                best = full_sort_topk(part, model, valid_data, K)[1]
                found[user_of[part]] = item_of[best.numpy()]
        return found

    folder = split.folder / "split"
    folder.mkdir(exist_ok=True)
    for name, pairs in (("train", split.train), ("valid", split.valid)):
        text = "\n".join(f"{user}\t{item}" for user, item in pairs.T.tolist())
        head = "user_id:token\titem_id:token\n"
        (folder / f"split.{name}.inter").write_text(head + text + "\n")
    settings = {"data_path": str(split.folder), "checkpoint_dir": str(split.folder)}
    settings |= {"benchmark_filename": ["train", "valid", "valid"], "use_gpu": False}
    settings |= {"train_batch_size": BATCH, "embedding_size": DIM, "n_layers": LAYERS}
    settings |= {"learning_rate": LR, "reg_weight": L2, "require_pow": True}
    settings |= {"epochs": 10**6, "show_progress": False, "seed": 0}
    settings |= {"load_col": {"inter": ["user_id", "item_id"]}}
    config = Config(model="LightGCN", dataset="split", config_dict=settings)
    init_seed(0, reproducibility=True)
    dataset = create_dataset(config)
    train_data, valid_data, _ = data_preparation(config, dataset)
    ids = (dataset.field2id_token[name] for name in ("user_id", "item_id"))
    user_of, item_of = (np.array([-1, *map(int, values[1:])]) for values in ids)
    users = np.unique(valid_data._dataset.inter_feat["user_id"].numpy())
    model = LightGCN(config, train_data._dataset)
    trainer = Timed(config, model)
    watch.start()
    trainer.fit(train_data, saved=False, show_progress=False)


def lenskit(split: Split, scorer) -> tuple[Callable[[], None], Callable]:
    """Return what trains an epoch of a scorer of LensKit, and what ranks users."""
    import pandas as pd
    from lenskit.batch import recommend
    from lenskit.data import from_interactions_df
    from lenskit.pipeline import topn_pipeline
    from lenskit.training import TrainingOptions

    def lists(users: np.ndarray) -> np.ndarray:
        found = np.full((len(users), K), -1)
        for row, (_, items) in enumerate(recommend(pipeline, users, n=K, n_jobs=1)):
            found[row, : len(items)] = items.ids()
        return found

    frame = pd.DataFrame(dict(zip(("user_id", "item_id"), split.train, strict=True)))
    ids = {"users": range(split.num_users), "items": range(split.num_items)}
    data = from_interactions_df(frame, **ids)
    pipeline = topn_pipeline(scorer, n=K)
    scorer.trained_epochs = 1  # the pipeline trains the other components only
    pipeline.train(data, TrainingOptions(retrain=False, rng=0))
    trainer = scorer.create_trainer(data, TrainingOptions(rng=0, device="cpu"))
    return trainer.train_epoch, lists


def lenskit_flexmf(split: Split, watch: Stopwatch) -> None:
    from lenskit.flexmf import FlexMFImplicitConfig, FlexMFImplicitScorer

    settings = {"embedding_size": DIM, "convolution_layers": LAYERS}
    settings |= {"batch_size": BATCH, "learning_rate": LR, "negative_count": 1}
    config = FlexMFImplicitConfig(preset="lightgcn", **settings)
    train, lists = lenskit(split, FlexMFImplicitScorer(config))
    users = np.arange(split.num_users)
    watch.start()
    while True:
        train()
        watch.block(lambda: lists(users))


def lenskit_pyg(split: Split, watch: Stopwatch, steps: int) -> None:
    """Train LensKit's PyG model; its scorer propagates anew for each user's list."""
    from lenskit.data.batches import BatchIter
    from lenskit.graphs import lightgcn

    class FirstBatches(BatchIter):
        """A block: the first batches of an epoch's permutation."""

        def __iter__(self) -> Iterator[object]:
            return islice(super().__iter__(), steps)

        def __len__(self) -> int:
            return min(steps, super().__len__())

    def from_tables() -> np.ndarray:
        z = scorer.model.get_embedding(scorer._edges)
        z_item, z_user = z.detach().split([split.num_items, split.num_users])
        return top_items(lambda part: z_user[part] @ z_item.T, users, seen)

    lightgcn.BatchIter = FirstBatches
    settings = {"embedding_size": DIM, "layer_count": LAYERS}
    settings |= {"batch_size": BATCH, "learning_rate": LR, "loss": "pairwise"}
    scorer = lightgcn.LightGCNScorer(lightgcn.LightGCNConfig(**settings))
    train, lists = lenskit(split, scorer)
    users, seen = np.arange(split.num_users), split.matrix
    share = min(1.0, steps * BATCH / split.train.shape[1])
    few = users[:5]
    watch.start()
    while True:
        train()
        watch.block(
            from_tables, share, sample=lambda: lists(few), sampled=len(few) / len(users)
        )


def pyg(split: Split, watch: Stopwatch, steps: int) -> None:
    """Train as the example of PyG's repository does, with its sampling and loss."""
    import torch
    from torch_geometric.nn import LightGCN

    def lists() -> np.ndarray:
        with torch.no_grad():
            z_user, z_item = model.get_embedding(both).split(sizes)
        return top_items(lambda part: z_user[part] @ z_item.T, users, seen)

    users, seen = np.arange(split.num_users), split.matrix
    sizes = [split.num_users, split.num_items]
    pairs = torch.from_numpy(split.train).clone()
    pairs[1] += split.num_users
    both = torch.cat([pairs, pairs.flip(0)], dim=1)
    torch.manual_seed(0)
    model = LightGCN(sum(sizes), DIM, LAYERS)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    loader = torch.utils.data.DataLoader(
        range(pairs.size(1)), batch_size=BATCH, shuffle=True
    )
    share, done = min(1.0, steps * BATCH / pairs.size(1)), 0
    watch.start()
    while True:
        for index in loader:
            pos = pairs[:, index]
            negatives = torch.randint(split.num_users, sum(sizes), (len(index),))
            chosen = torch.cat([pos, torch.stack([pos[0], negatives])], dim=1)
            optimizer.zero_grad()
            pos_rank, neg_rank = model(both, chosen).chunk(2)
            loss = model.recommendation_loss(
                pos_rank, neg_rank, node_id=chosen.unique(), lambda_reg=L2
            )
            loss.backward()
            optimizer.step()
            done += 1
            if done % steps == 0:
                watch.block(lists, share)


def implicit(split: Split, watch: Stopwatch) -> None:
    """Alternating least squares: another model, the yardstick of what is cheap."""
    from implicit.als import AlternatingLeastSquares

    def lists() -> np.ndarray:
        return model.recommend(users, matrix, N=K)[0]

    users, matrix = np.arange(split.num_users), split.matrix
    model = AlternatingLeastSquares(DIM, num_threads=1, random_state=0)
    watch.start()
    model.fit(matrix, show_progress=False, callback=lambda *_: watch.block(lists))


class Peer(NamedTuple):
    """A row of the table."""

    name: str
    package: str
    """The distribution whose version is stated."""
    run: Callable[..., None]
    in_blocks: bool = False
    """Whether its epoch is too long to run whole."""


PEERS = {
    "lightgcn": {
        "ours": Peer("ours", "pyg-advinfonce", ours),
        "warprec": Peer("WarpRec", "warprec", warprec),
        "lenskit-flexmf": Peer("LensKit FlexMF", "lenskit", lenskit_flexmf),
        "recbole": Peer("RecBole", "recbole", recbole),
        "lenskit-pyg": Peer("LensKit LightGCN (PyG's)", "lenskit", lenskit_pyg, True),
        "pyg": Peer("PyG's example", "torch-geometric", pyg, True),
        "implicit": Peer("implicit's ALS", "implicit", implicit),
    },
    "xsimgcl": {
        "ours": Peer("ours", "pyg-advinfonce", ours),
        "warprec": Peer("WarpRec", "warprec", warprec),
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--model", default="lightgcn", choices=list(PEERS))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    peer = PEERS[args.model][args.run]
    options = {"steps": args.steps} if peer.in_blocks else {}
    options |= {"model": args.model} if args.model != "lightgcn" else {}
    watch = Stopwatch(args.folder, args.seconds)
    try:
        with suppress(TimeUpError):
            peer.run(Split.load(args.folder), watch, **options)
    except Exception as error:
        kind = "absent" if isinstance(error, ImportError | SyntaxError) else "error"
        found = {"kind": kind, "text": f"{type(error).__name__}: {error}"}
        (args.folder / "error.json").write_text(json.dumps(found))
        raise


if __name__ == "__main__":
    main()
