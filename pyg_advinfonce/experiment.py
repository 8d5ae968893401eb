"""From a configuration to a result; the one module that knows all the others."""

import inspect
import json
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from torch_geometric.data import HeteroData

from pyg_advinfonce.allocator import keep_freed_memory
from pyg_advinfonce.config import Config, check_options, naming
from pyg_advinfonce.datasets.base import Dataset
from pyg_advinfonce.datasets.load import load_dataset
from pyg_advinfonce.errors import CheckpointError, ConfigError, MemoryShortageError
from pyg_advinfonce.graph import num_nodes, split_edges, split_names
from pyg_advinfonce.hardness import KINDS, Hardness, build_hardness
from pyg_advinfonce.loader import build_sampler
from pyg_advinfonce.losses.adv_infonce import AdvInfoNCE
from pyg_advinfonce.losses.base import Criterion
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.out_of_memory import is_out_of_memory
from pyg_advinfonce.registry import LOSSES, MODELS, unknown
from pyg_advinfonce.seed_folder import SeedFolder
from pyg_advinfonce.serving.loaded_run import LoadedRun
from pyg_advinfonce.serving.raw_ids import RawId
from pyg_advinfonce.serving.recommender import Recommender
from pyg_advinfonce.terms.base import RankingTerm
from pyg_advinfonce.training.callbacks import (
    Callback,
    Diagnostics,
    FalseNegatives,
    Record,
)
from pyg_advinfonce.training.checkpoint import load_weights
from pyg_advinfonce.training.evaluator import Evaluator
from pyg_advinfonce.training.memory_estimate import MemoryEstimate
from pyg_advinfonce.training.trainer import Trainer, seed_everything
from pyg_advinfonce.training.user_metrics import UserMetrics
from pyg_advinfonce.transforms.bipartite_norm import BipartiteNorm


@dataclass(frozen=True)
class Result:
    """One trained seed.

    Attributes:
        method: The method with the weights of the best validation epoch.
        metrics: Every split's metrics at that epoch, ``test/recall@20`` and so on.
        best_epoch: That epoch, counted from 0.
        history: One record an epoch.
        seconds_per_epoch: Mean training time, the first epoch and evaluation excluded.
        wall_seconds: The whole run, data set loading excluded.
        device: What it ran on.
        per_user: What the metrics are the means of, a split each.
        graph: The normalised graph that it was trained on.
    """

    method: Method
    metrics: dict[str, float]
    best_epoch: int
    history: list[Record]
    seconds_per_epoch: float | None
    wall_seconds: float
    device: str
    per_user: Sequence[UserMetrics] = ()
    graph: HeteroData = field(kw_only=True)

    def recommend(
        self,
        users: Iterable[RawId] | None = None,
        *,
        k: int = 20,
        exclude_seen: bool = True,
    ) -> pd.DataFrame:
        """Return the best items of users (default: all), by the ids of the input.

        :class:`~pyg_advinfonce.serving.recommender.Recommender` says more, is faster
        if it is asked twice, and knows what to do with new users.
        """
        found = Recommender(self.method, self.graph, exclude_seen=exclude_seen)
        return found.recommend(users, k=k)


def train(
    config: Config,
    dataset: Dataset,
    *,
    device: torch.device | str = "auto",
    out: Path | None = None,
    callbacks: Sequence[Callback] = (),
    criterion: Criterion | RankingTerm | None = None,
    resume: bool = False,
    force: bool = False,
    save_every: int | None = None,
) -> Result:
    """Train one seed of a configuration and evaluate its best epoch on every split.

    With a folder, an interrupted training can go on where it was: its state is written
    there now and then, and whenever training ends, by an error or Ctrl-C, too.

    Args:
        config: The configuration.
        dataset: The data, e.g. of :func:`~pyg_advinfonce.datasets.load.load_dataset`.
        device: ``auto``, ``cpu``, ``cuda`` or any other of torch's devices.
        out: A folder for configuration, history, metrics, weights and training state.
        callbacks: Told of every epoch's end, after the built-in diagnostics.
        criterion: A loss of your own, in place of the one that the configuration names.
        resume: Go on from the training state in ``out``, if there is one.
        force: Let it go on with another ``train.epochs`` or ``train.patience``.
        save_every: Write the state after so many epochs (default: after an epoch, when
            30 seconds have passed since the last time).

    Raises:
        ConfigError: If an option is wrong, or memory cannot suffice.
        CheckpointError: If the training state is damaged, or of other settings or data.
        MemoryShortageError: If memory does not suffice.
        NonFiniteLossError: If training leaves the real numbers.
    """
    started, place = time.perf_counter(), find_device(device)
    trainer = assemble(config, dataset, device=place, criterion=criterion)
    likes = getattr(dataset, "likes", None)
    watching = [FalseNegatives(likes)] if likes else []
    trainer.callbacks = [Diagnostics(), *watching, *callbacks]
    folder = None
    if out is not None:
        folder = SeedFolder(
            out, config, dataset.fingerprint, str(place), save_every=save_every
        )
        folder.begin(trainer, resume=resume, force=force)
    started -= sum(record.seconds for record in trainer.history)
    keeping = folder.keeping(trainer) if folder else nullcontext()
    with _explaining_memory(config), keeping:
        best_epoch = trainer.fit()
    per_user = rank_users(trainer.method, trainer.graph, trainer.evaluator)
    result = Result(
        trainer.method,
        {name: v for split in per_user for name, v in split.means().items()},
        best_epoch,
        trainer.history,
        trainer.seconds_per_epoch,
        time.perf_counter() - started,
        str(place),
        per_user,
        graph=trainer.graph,
    )
    if folder is not None:
        folder.finish(result)
    return result


def assemble(
    config: Config,
    dataset: Dataset,
    *,
    device: torch.device | str = "auto",
    callbacks: Sequence[Callback] = (),
    criterion: Criterion | RankingTerm | None = None,
) -> Trainer:
    """Put together what trains one seed of a configuration.

    Its ``fit`` looks at the train and validation pairs alone; :func:`train` does the
    rest, and says what the arguments are.
    """
    keep_freed_memory()
    place = find_device(device)
    _check_memory(config, dataset.graph, place, criterion)
    graph = prepare(dataset, place)
    method = build_method(config, graph, criterion).to(place)
    return make_trainer(config, method, graph, callbacks)


@contextmanager
def _explaining_memory(config: Config) -> Iterator[None]:
    """Say what to lower where memory runs out."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        size = config.train.batch_size
        less = f"set train.batch_size to {size // 2} or lower" if size > 1 else "lower"
        raise MemoryShortageError(
            f"out of memory while training with train.batch_size {size}: {less} "
            "train.num_negatives or encoder.dim"
        ) from error


def check(
    config: Config, dataset: Dataset, *, device: torch.device | str = "auto"
) -> None:
    """Raise what :func:`train` would raise before its first step.

    Raises:
        ConfigError: If an option is wrong, or memory cannot suffice.
    """
    _check_memory(config, dataset.graph, find_device(device))
    with naming("settings", train):
        method = build_method(config, dataset.graph)
        make_trainer(config, method, dataset.graph, ())


def _check_memory(
    config: Config,
    graph: HeteroData,
    device: torch.device,
    criterion: Criterion | RankingTerm | None = None,
) -> None:
    encoder = MODELS[config.model].load_encoder()
    sampled = _negatives(config, criterion) == "sampled"
    MemoryEstimate.of(
        num_nodes=sum(num_nodes(graph)),
        dim=check_options("encoder", encoder, config.encoder).get("dim", 64),
        batch_size=min(config.train.batch_size, split_edges(graph, "train").size(1)),
        num_negatives=config.train.num_negatives if sampled else 0,
    ).check(device)


def _negatives(config: Config, criterion: Criterion | RankingTerm | None) -> str:
    """Return what a loss wants of a sampler, before it is built."""
    if criterion is not None:
        return criterion.negatives
    kind = LOSSES[config.criterion].load()
    option = inspect.signature(kind).parameters.get("negatives")
    default = kind.negatives if option is None else option.default
    return str(config.loss.get("negatives", default))


def prepare(dataset: Dataset, device: torch.device) -> HeteroData:
    """Return a normalised copy of a data set's graph on a device."""
    graph: HeteroData = BipartiteNorm()(dataset.graph.clone()).to(device)
    return graph


def build_method(
    config: Config,
    graph: HeteroData,
    criterion: Criterion | RankingTerm | None = None,
) -> Method:
    """Build the method that a configuration names, with checked options.

    The encoder and the criterion start from streams of their own, so that with one seed
    all losses start from the same embeddings: seeds are pairs in a comparison.
    """
    entry = MODELS[config.model]
    builder, encoder = entry.load(), entry.load_encoder()
    settings = check_options("encoder", encoder, config.encoder)
    settings |= {"lr": config.train.lr, "l2": config.train.l2}
    elsewhere = {*settings, *inspect.signature(encoder).parameters}
    settings |= check_options("method", builder, config.method, given=elsewhere)
    seed_everything(config.train.seed, 0, 0, stream=2)
    criterion = criterion or build_criterion(config, graph)
    seed_everything(config.train.seed, 0, 0, stream=1)
    with naming("encoder", encoder, method=builder):
        found: Method = builder(graph, criterion, **settings)
    return found


def build_criterion(config: Config, graph: HeteroData) -> Criterion | RankingTerm:
    """Build the ranking loss that a configuration names, with checked options."""
    kind = LOSSES[config.criterion].load()
    options = check_options("loss", kind, config.loss)
    if "dim" in inspect.signature(kind).parameters:  # tables as wide as the encoder's
        options = {"dim": _width(config)} | options
    if kind is AdvInfoNCE:
        hardness = _build_hardness(config, graph)
        with naming("loss", kind):
            return AdvInfoNCE(hardness, **options)
    if config.hardness:
        raise ConfigError(f"loss '{config.criterion}' has no [hardness]")
    with naming("loss", kind):
        found: Criterion | RankingTerm = kind.from_graph(graph, **options)
    return found


def _build_hardness(config: Config, graph: HeteroData) -> Hardness:
    options = {"kind": "embedding"} | config.hardness
    kind = str(options.pop("kind"))
    if kind not in KINDS:
        raise unknown("hardness.kind", kind, KINDS)
    if kind in ("embedding", "mlp"):
        options = {"dim": _width(config)} | options
    options = check_options("hardness", KINDS[kind], options)
    with naming("hardness", KINDS[kind]):
        return build_hardness(graph, kind, **options)


def _width(config: Config) -> int:
    """Return the encoder's width; a wrong one is the encoder's to refuse."""
    width: int = max(1, config.encoder.get("dim", 64))
    return width


def make_trainer(
    config: Config, method: Method, graph: HeteroData, callbacks: Sequence[Callback]
) -> Trainer:
    """Put a trainer together as the section ``[train]`` says."""
    sampled = method.criterion.negatives == "sampled"
    if sampled and config.train.num_negatives == 0:
        raise ConfigError(
            f"loss '{config.criterion}' needs negatives: train.num_negatives must be "
            "at least 1 (got 0)"
        )
    _warn_if_idle(method, config.train.epochs)
    if config.train.num_negatives == 1:
        _warn_of_single_negatives(method)
    return Trainer(
        method,
        graph,
        build_sampler(config, method, graph),
        Evaluator(graph),
        epochs=config.train.epochs,
        seed=config.train.seed,
        eval_every=config.train.eval_every,
        patience=config.train.patience,
        callbacks=callbacks,
    )


def _warn_if_idle(method: Method, epochs: int) -> None:
    main = next(phase for phase in method.phases if phase.params is None)
    if not any(map(main.active, range(epochs))):
        warnings.warn(
            f"the encoder is not trained in {epochs} epochs: its phase begins later, "
            "raise train.epochs",
            stacklevel=2,
        )


def _warn_of_single_negatives(method: Method) -> None:
    if isinstance(method.criterion, AdvInfoNCE) and len(method.phases) > 1:
        warnings.warn(
            "the adversary has no choice among one negative, and stays as it is: raise "
            "train.num_negatives",
            stacklevel=3,
        )


def evaluate(
    method: Method, graph: HeteroData, evaluator: Evaluator
) -> dict[str, float]:
    """Rank every split of a graph."""
    found = rank_users(method, graph, evaluator)
    return {name: value for split in found for name, value in split.means().items()}


def rank_users(
    method: Method, graph: HeteroData, evaluator: Evaluator
) -> list[UserMetrics]:
    """Rank every split of a graph, user by user."""
    z_user, z_item = method.embed(graph)
    return [evaluator.per_user(z_user, z_item, split) for split in split_names(graph)]


def find_device(name: torch.device | str) -> torch.device:
    """Turn ``auto`` into CUDA where it is, and check that a named device exists.

    Raises:
        ConfigError: If it does not exist.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()  # a meta tensor cannot be copied
    except (RuntimeError, AssertionError) as error:
        count = torch.cuda.device_count()
        there = ", ".join(["cpu", *(f"cuda:{i}" for i in range(count))])
        raise ConfigError(
            f"device '{name}' is not there: choose from {there}"
        ) from error
    return device


def seed_folders(run: Path) -> list[Path]:
    """Return the seeds' folders of a run, or the folder itself if it is one seed's."""
    if (run / "config.toml").is_file():
        return [run]
    return sorted(run.glob("seed-*"), key=lambda seed: (len(seed.name), seed)) or [run]


def load_run(
    folder: Path, *, root: Path, cache_dir: Path | None = None, device: str = "auto"
) -> LoadedRun:
    """Load a trained seed: its configuration, method and graph, ready for use.

    Args:
        folder: The folder of one seed, or of a run of a single seed.
        root: Where the data sets lie.
        cache_dir: Where processed data is kept.
        device: As for :func:`train`.

    Raises:
        CheckpointError: If the folder holds no run.
    """
    seeds = seed_folders(folder)
    if len(seeds) > 1:
        names = ", ".join(seed.name for seed in seeds)
        raise CheckpointError(f"{folder} holds several seeds: choose one of {names}")
    folder = seeds[0]
    for name in ("config.toml", "weights.safetensors"):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder} holds no finished run, no {name}")
    config, place = Config.load(folder / "config.toml"), find_device(device)
    dataset = load_dataset(
        config.dataset, root=root, cache_dir=cache_dir, **config.data
    )
    _check_same_data(folder, dataset.fingerprint)
    graph = prepare(dataset, place)
    method = build_method(config, graph)
    load_weights(method, folder / "weights.safetensors")
    return LoadedRun(config, method.to(place), graph, dataset.fingerprint)


def _check_same_data(folder: Path, fingerprint: str) -> None:
    """Refuse data that a run was not trained on, where the run says which it was."""
    file = folder / "metrics.json"
    if not file.is_file():
        return
    try:
        trained_on = json.loads(file.read_text(encoding="utf-8"))["data"]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file}: not the metrics of a run") from error
    if trained_on != fingerprint:
        raise CheckpointError(
            f"{folder} was trained on other data: {trained_on}; found {fingerprint}"
        )
