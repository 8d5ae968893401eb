"""From a configuration to a result; the one module that knows all the others."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import HeteroData

from pyg_advinfonce.build import CustomLoss, CustomModel, assemble, name_custom
from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import Dataset
from pyg_advinfonce.errors import MemoryShortageError, is_out_of_memory
from pyg_advinfonce.evaluation import Evaluator, UserMetrics
from pyg_advinfonce.graph import split_names
from pyg_advinfonce.methods import Method
from pyg_advinfonce.progress import Progress
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
    dataset: Dataset,
    *,
    device: torch.device | str = "auto",
    out: Path | str | None = None,
    callbacks: Sequence[Callback] = (),
    model: CustomModel | None = None,
    loss: CustomLoss | None = None,
    resume: bool = False,
    force: bool = False,
    save_every: int | None = None,
    progress: Progress = Progress(),
    label: str = "",
    trainer: Trainer | None = None,
) -> Result:
    """Train one seed of a configuration and evaluate its best epoch on every split.

    With a folder, an interrupted training can go on where it was: its state is written
    there now and then, and whenever training ends, by an error or Ctrl-C, too.

    Args:
        config: The configuration.
        dataset: The data, e.g. of :func:`~pyg_advinfonce.datasets.load_dataset`.
        device: ``auto``, ``cpu``, ``cuda`` or any other of torch's devices.
        out: A folder for configuration, history, metrics, weights and training state.
        callbacks: Told of every epoch's end, after the built-in diagnostics.
        model: A custom model in place of the one that the configuration names: a
            module, which is trained as it is, or a class or function that makes one of
            the graph. The guide to models says what it may offer.
        loss: A custom loss, likewise: a :class:`~pyg_advinfonce.losses.Criterion`, or
            its class, whose arguments are keys of ``[loss]``.
        resume: Go on from the training state in ``out``, if there is one.
        force: Let it go on with another ``train.epochs`` or ``train.patience``.
        save_every: Write the state after so many epochs (default: after an epoch, when
            30 seconds have passed since the last time).
        progress: Receives the epochs as they pass.
        label: What the training is called there (default: ``seed 0``).
        trainer: What :func:`~pyg_advinfonce.build.assemble` has made of the same
            configuration, data, device, model and loss (default: it is made here).

    Raises:
        ConfigError: If an option is wrong, or memory cannot suffice.
        CheckpointError: If the training state is damaged, or of other settings or data.
        MemoryShortageError: If memory does not suffice.
        NonFiniteLossError: If training leaves the real numbers.
    """
    config = name_custom(config, model, loss).fitted_to(dataset)
    if trainer is None:
        trainer = assemble(config, dataset, device=device, model=model, loss=loss)
    started, place = time.perf_counter(), str(trainer.method.encoder.device)
    likes = getattr(dataset, "likes", None)
    watching = [FalseNegatives(likes)] if likes else []
    label = label or f"seed {config.train.seed}"
    told = [Diagnostics(), *watching, *trainer.callbacks, *callbacks]
    folder = None
    if out is not None:
        folder = SeedFolder(
            Path(out),
            config,
            dataset.fingerprint,
            place,
            save_every=save_every,
        )
        told += folder.begin(trainer, resume=resume, force=force)
    if trainer.history:
        progress.say(f"{label}: goes on after epoch {trainer.history[-1].epoch}")
    trainer.callbacks = [EpochProgress(progress, label, trainer.epochs), *told]
    started -= sum(record.seconds for record in trainer.history)
    keeping = folder.keeping(trainer) if folder else nullcontext()
    with _explaining_memory(config), keeping:
        try:
            best_epoch = trainer.fit()
        finally:
            progress.finish()
    per_user = rank_users(trainer.method, trainer.graph, trainer.evaluator)
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
    dataset: Dataset,
    folder: Path | str,
    *,
    model: CustomModel | None = None,
    loss: CustomLoss | None = None,
    progress: Progress = Progress(),
    label: str = "",
    **options: Any,  # noqa: ANN401
) -> FinishedSeed:
    """Return the trained seed of a folder; train it as far as it is not trained yet.

    A seed that is finished, with the same settings and data, is read; an interrupted
    one is resumed.

    Args:
        config: The configuration.
        dataset: The data.
        folder: The seed's folder.
        model: As for :func:`train`.
        loss: As for :func:`train`.
        progress: As for :func:`train`.
        label: As for :func:`train`.
        **options: Further arguments of :func:`train`.

    Raises:
        CheckpointError: If what lies there is damaged, or of other settings or data.
        ConfigError: As :func:`train` does, and its other errors.
    """
    config, folder = name_custom(config, model, loss).fitted_to(dataset), Path(folder)
    found = find_seed(folder, config, dataset.fingerprint)
    if found is not None:
        progress.say(f"{label or f'seed {found.seed}'}: finished before")
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
    return read_seed(folder)


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
            "train.num_negatives or model.dim"
        ) from error


def evaluate(
    method: Method, graph: HeteroData, evaluator: Evaluator
) -> dict[str, float]:
    """Rank every split of a graph."""
    return _means(rank_users(method, graph, evaluator))


def rank_users(
    method: Method, graph: HeteroData, evaluator: Evaluator
) -> list[UserMetrics]:
    """Rank every split of a graph, user by user."""
    scorer = method.scorer(graph)
    return [evaluator.per_user(scorer, split) for split in split_names(graph)]


def _means(per_user: Sequence[UserMetrics]) -> dict[str, float]:
    return {name: v for split in per_user for name, v in split.means().items()}
