"""Training and evaluation of a configuration."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import HeteroData

from pyg_advinfonce.build import CustomLoss, CustomModel, assemble, name_custom
from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import Dataset, as_dataset
from pyg_advinfonce.errors import explaining_memory
from pyg_advinfonce.evaluation import Evaluator, UserMetrics
from pyg_advinfonce.graph import split_names
from pyg_advinfonce.methods import Method
from pyg_advinfonce.progress import Progress, listener
from pyg_advinfonce.ranks import from_first
from pyg_advinfonce.runs import FinishedSeed, Result, SeedFolder, find_seed, read_seed
from pyg_advinfonce.training import (
    Callback,
    Diagnostics,
    EpochProgress,
    FalseNegatives,
    Trainer,
)


def train(
    config: Config,
    dataset: Dataset | HeteroData,
    *,
    device: torch.device | str = "auto",
    out: Path | str | None = None,
    callbacks: Sequence[Callback] = (),
    model: CustomModel | None = None,
    loss: CustomLoss | None = None,
    resume: bool = False,
    force: bool = False,
    save_every: int | None = None,
    progress: Progress | bool = True,
    label: str = "",
    trainer: Trainer | None = None,
) -> Result:
    """Train one seed of a configuration and evaluate its best epoch on every split.

    With a folder, an interrupted training can be resumed: its state is written there
    regularly and whenever training ends, also by an error or Ctrl-C.

    Args:
        config: The configuration.
        dataset: The data, e.g. from :func:`~pyg_advinfonce.datasets.load_dataset`, or a
            user-item graph; see :func:`~pyg_advinfonce.datasets.as_dataset`.
        device: ``auto``, ``cpu``, ``cuda`` or another device of torch.
        out: The folder of configuration, history, metrics, weights and training state.
        callbacks: Called after every epoch, after the built-in diagnostics.
        model: A custom model instead of the configuration's: a module, or a class or
            function that builds one from the graph. The guide to models describes its
            optional methods.
        loss: A custom loss instead of the configuration's: a
            :class:`~pyg_advinfonce.losses.Criterion`, or its class, whose arguments are
            keys of ``[loss]``.
        resume: Resume from the training state in ``out``, if it exists.
        force: Allow another ``train.epochs`` or ``train.patience`` on resuming.
        save_every: The number of epochs between two writes of the state (default: write
            after an epoch if the last write was more than 30 seconds ago).
        progress: Receives the epochs (default: a bar, in a notebook or on a terminal);
            False shows nothing.
        label: The training's name in ``progress`` (default: ``seed 0``).
        trainer: The trainer from :func:`~pyg_advinfonce.build.assemble` for the same
            configuration, data, device, model and loss (default: a new one).

    Raises:
        ConfigError: If an option is wrong, or the memory is too small.
        GraphError: If the graph is not valid.
        CheckpointError: If the training state is damaged or belongs to other settings
            or data.
        MemoryShortageError: If memory runs out.
        NonFiniteLossError: If loss or gradient becomes NaN or infinite.
    """
    dataset, progress = as_dataset(dataset), listener(progress)
    config = name_custom(config, model, loss).fitted_to(dataset)
    if trainer is None:
        trainer = assemble(config, dataset, device=device, model=model, loss=loss)
    started, place = time.perf_counter(), str(trainer.method.encoder.device)
    likes = getattr(dataset, "likes", None)
    watching = [FalseNegatives(likes)] if likes else []
    label = label or f"seed {config.train.seed}"
    evaluator = trainer.evaluator.with_metrics(
        [*trainer.evaluator.names, *(config.train.metrics or ())]
    )
    told = [Diagnostics(), *watching, *trainer.callbacks, *callbacks]
    folder = None
    if out is not None:
        folder = SeedFolder(
            Path(out),
            config,
            dataset.fingerprint,
            place,
            data=getattr(dataset, "place", None),
            save_every=save_every,
        )
        told += folder.begin(trainer, resume=resume, force=force)
    if trainer.history:
        progress.say(f"{label}: resumed after epoch {trainer.history[-1].epoch}")
    trainer.callbacks = [EpochProgress(progress, label, trainer.epochs), *told]
    started -= sum(record.seconds for record in trainer.history)
    keeping = folder.keeping(trainer) if folder else nullcontext()
    with explaining_memory(_needing_memory(config)), keeping:
        try:
            best_epoch = trainer.fit()
        finally:
            progress.finish()
    per_user = rank_users(trainer.method, trainer.graph, evaluator)
    result = Result(
        config,
        trainer.method,
        trainer.graph,
        dataset.fingerprint,
        _means(per_user),
        best_epoch,
        len(trainer.history),
        place,
        trainer.seconds_per_epoch,
        time.perf_counter() - started,
        trainer.history,
        per_user,
    )
    if folder is not None:
        folder.finish(result)
    return result


def train_seed(
    config: Config,
    dataset: Dataset | HeteroData,
    folder: Path | str,
    *,
    model: CustomModel | None = None,
    loss: CustomLoss | None = None,
    progress: Progress | bool = True,
    label: str = "",
    **options: Any,  # noqa: ANN401
) -> FinishedSeed:
    """Return the finished seed of a folder; train or resume it if necessary.

    A finished seed of the same settings and data is read; an interrupted seed is
    resumed.

    Args:
        config: The configuration.
        dataset: As for :func:`train`.
        folder: The seed's folder.
        model: As for :func:`train`.
        loss: As for :func:`train`.
        progress: As for :func:`train`.
        label: As for :func:`train`.
        **options: Further arguments of :func:`train`.

    Raises:
        CheckpointError: If the folder is damaged or belongs to other settings or data.
        ConfigError: As for :func:`train`. Its other errors are raised too.
    """
    dataset, folder, progress = as_dataset(dataset), Path(folder), listener(progress)
    config = name_custom(config, model, loss).fitted_to(dataset)
    label = label or f"seed {config.train.seed}"
    found = from_first(lambda: find_seed(folder, config, dataset.fingerprint))
    if found is not None:
        progress.say(f"{label}: finished already, {found.line}")
        return found
    train(
        config,
        dataset,
        model=model,
        loss=loss,
        out=folder,
        resume=True,
        progress=progress,
        label=label,
        **options,
    )
    found = from_first(lambda: read_seed(folder))
    progress.say(f"{label}: {found.line}")
    return found


def _needing_memory(config: Config) -> str:
    """Return the settings to lower if memory runs out."""
    size = config.train.batch_size
    less = f"set train.batch_size to {size // 2} or lower" if size > 1 else "lower"
    return (
        f"while training with train.batch_size {size}: {less} train.num_negatives or "
        "model.dim"
    )


def evaluate(
    method: Method, graph: HeteroData, evaluator: Evaluator
) -> dict[str, float]:
    """Return the metrics of every split of a graph."""
    return _means(rank_users(method, graph, evaluator))


def rank_users(
    method: Method, graph: HeteroData, evaluator: Evaluator
) -> list[UserMetrics]:
    """Return the metrics per user of every split of a graph."""
    scorer = method.scorer(graph)
    return [evaluator.per_user(scorer, split) for split in split_names(graph)]


def _means(per_user: Sequence[UserMetrics]) -> dict[str, float]:
    return {name: v for split in per_user for name, v in split.means().items()}
