"""From a configuration to a result; the one module that knows all the others."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch_geometric.data import HeteroData

from pyg_advinfonce.assemble import assemble
from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets.base import Dataset
from pyg_advinfonce.errors import MemoryShortageError
from pyg_advinfonce.graph import split_names
from pyg_advinfonce.losses.base import Criterion
from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.out_of_memory import is_out_of_memory
from pyg_advinfonce.seed_folder import SeedFolder
from pyg_advinfonce.serving.recommend import recommend
from pyg_advinfonce.terms.base import RankingTerm
from pyg_advinfonce.training.callbacks import (
    Callback,
    Diagnostics,
    FalseNegatives,
    Record,
)
from pyg_advinfonce.training.evaluator import Evaluator
from pyg_advinfonce.training.trainer import Trainer
from pyg_advinfonce.training.user_metrics import UserMetrics


@dataclass(frozen=True, repr=False)
class Result:
    """One trained seed.

    Attributes:
        method: The method with the weights of the best validation epoch.
        metrics: Every split's metrics at that epoch, ``test/recall@20`` and so on.
        best_epoch: That epoch, counted from 0.
        history: One record an epoch.
        seconds_per_epoch: Mean training time, the first epoch and evaluation excluded.
        wall_seconds: Training and evaluation; loading data and building excluded.
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

    recommend = recommend

    def __repr__(self) -> str:
        metrics = ", ".join(
            f"{name} {value:.4f}" for name, value in self.metrics.items()
        )
        return f"Result(best epoch {self.best_epoch} of {len(self.history)}: {metrics})"


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
    trainer: Trainer | None = None,
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
        trainer: What :func:`~pyg_advinfonce.assemble.assemble` has made of the same
            configuration, data, device and criterion (default: it is made here).

    Raises:
        ConfigError: If an option is wrong, or memory cannot suffice.
        CheckpointError: If the training state is damaged, or of other settings or data.
        MemoryShortageError: If memory does not suffice.
        NonFiniteLossError: If training leaves the real numbers.
    """
    config = config.fitted_to(dataset)
    if trainer is None:
        trainer = assemble(config, dataset, device=device, criterion=criterion)
    started, place = time.perf_counter(), str(trainer.method.encoder.device)
    likes = getattr(dataset, "likes", None)
    watching = [FalseNegatives(likes)] if likes else []
    told = [Diagnostics(), *watching, *trainer.callbacks, *callbacks]
    folder = None
    if out is not None:
        folder = SeedFolder(
            out,
            config,
            dataset.fingerprint,
            place,
            own_loss=type(criterion).__qualname__ if criterion else None,
            save_every=save_every,
        )
        told += folder.begin(trainer, resume=resume, force=force)
    trainer.callbacks = told
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
        place,
        per_user,
        graph=trainer.graph,
    )
    if folder is not None:
        folder.finish(result)
    return result


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
