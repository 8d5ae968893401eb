"""Hyper-parameter search for a model and a loss."""

import math
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from optuna.distributions import CategoricalDistribution, distribution_to_json
from optuna.pruners import BasePruner, MedianPruner
from optuna.study import Study
from torch import nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.build import CustomLoss, CustomModel, assemble, name_custom
from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import Dataset, as_dataset
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.graph import split_edges
from pyg_advinfonce.machine import find_device
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.registry import NO_LOSS
from pyg_advinfonce.studies.tuning.space import Space, default_params, search_space
from pyg_advinfonce.studies.tuning.storage import (
    is_finished,
    is_running,
    open_study,
    storage_errors,
)
from pyg_advinfonce.studies.tuning.study_files import save_study
from pyg_advinfonce.studies.tuning.trial import (
    OutOfTimeError,
    Task,
    run_trial,
    study_text,
)

VALIDATIONS_BEFORE_PRUNING = 10


def tune(
    config: Config,
    dataset: Dataset | HeteroData,
    *,
    folder: Path | str | Callable[[], Path],
    fixed: Collection[str] = (),
    space: Mapping[str, Any] | None = None,
    trials: int = 50,
    timeout: float | None = None,
    device: torch.device | str = "auto",
    progress: Progress = Progress(),
    pruner: BasePruner | None = None,
    model: CustomModel | None = None,
    loss: CustomLoss | None = None,
) -> dict[str, Any]:
    """Search the space of a model and a loss for the best validation metric.

    A trial trains one configuration; its value is its best ``valid/recall@20``. No test
    split is ever ranked. The first trial is ``config`` itself. A trial with the
    settings of a complete trial gets that trial's value. An existing study is
    continued; several processes may share it. A failed trial is recorded, and the next
    trial begins.

    Args:
        config: The default configuration, which also names model, loss and data;
            ``train.epochs`` is the maximum per trial, ``train.seed`` the seed of the
            search and of every trial.
        dataset: As for :func:`~pyg_advinfonce.experiment.train`.
        folder: The study's folder, made or continued; or a function that returns it,
            called once the settings are checked.
        fixed: Keys ``section.key`` that keep the configuration's value.
        space: What is searched (default: the packaged space of model and loss): by key
            ``section.key`` a list of choices or a mapping with ``low``, ``high`` and
            ``log``.
        trials: The number of finished trials to stop at, including those of earlier
            calls.
        timeout: The time limit in seconds; a trial that it interrupts is repeated when
            the study is continued.
        device: As for :func:`~pyg_advinfonce.experiment.train`.
        progress: Receives every trial's settings, epochs and end.
        pruner: Ends unpromising trials (default: after ten validations, trials below
            the median of the earlier trials).
        model: A custom model, a class or a function, built anew for each trial. Its
            attribute ``search_space`` holds the space of ``[model]``: by key a list of
            choices or a mapping with ``low``, ``high`` and ``log``.
        loss: The class of a custom loss, with the same attribute for ``[loss]``.

    Returns:
        The content of ``summary.json``.

    Raises:
        ConfigError: If an option is wrong, or the folder holds another study.
    """
    _check_limits(trials, timeout)
    custom = {"model": model, "loss": loss}
    for section, target in custom.items():
        if isinstance(target, nn.Module):
            raise ConfigError(
                f"tune builds the {section} anew for each trial: pass a class or a "
                f"function (got an instance of {type(target).__name__})"
            )
    dataset = as_dataset(dataset)
    config = name_custom(config, model, loss).fitted_to(dataset)
    config.check_held_out("a configuration")
    place = find_device(device)
    searched = search_space(config, fixed, custom, space)
    searched = _fitting(searched, config, dataset, place, custom)
    if not searched and config.loss.name == NO_LOSS:
        raise ConfigError(
            f"model '{config.model.name}' has no setting to search: train it"
        )
    folder = folder() if callable(folder) else Path(folder)
    task = Task(
        config,
        dataset,
        searched,
        default_params(config, searched, custom),
        place,
        math.inf if timeout is None else time.monotonic() + timeout,
        progress,
        trials,
        custom,
    )
    settings = _settings(task, fixed)
    warmup = VALIDATIONS_BEFORE_PRUNING * config.train.eval_every
    pruner = pruner or MedianPruner(n_warmup_steps=warmup)
    with storage_errors(folder):
        study = open_study(folder, settings, task.default, pruner, progress)
        if any(map(is_finished, study.get_trials(deepcopy=False))):
            progress.say(f"continuing {folder}: {study_text(study, trials)}")
        try:
            while _num_begun(study) < trials:
                run_trial(study, task)
                save_study(study, config, fixed, folder)
        except OutOfTimeError:
            pass
        finally:
            summary = save_study(study, config, fixed, folder)
    return summary


def _check_limits(trials: int, timeout: float | None) -> None:
    if trials < 1:
        raise ConfigError(f"trials must be positive (got {trials})")
    if timeout is not None and not timeout >= 0:
        raise ConfigError(f"timeout must not be negative (got {timeout})")


def _fitting(
    space: Space,
    config: Config,
    dataset: Dataset,
    device: torch.device,
    custom: Mapping[str, Any],
) -> Space:
    """Return a space without unused or all negatives and without too large batches.

    Raises:
        ConfigError: If the configuration itself cannot be trained.
    """
    space = dict(space)
    method = assemble(config, dataset, device=device, **custom).method
    if method.negatives != "sampled" or config.train.num_negatives == "all":
        space.pop("train.num_negatives", None)
    batches = space.get("train.batch_size")
    if isinstance(batches, CategoricalDistribution):
        num_pairs = split_edges(dataset.graph, "train").size(1)
        fitting = [size for size in batches.choices if int(size or 0) <= num_pairs]
        space["train.batch_size"] = CategoricalDistribution(fitting or [num_pairs])
    return space


def _settings(task: Task, fixed: Collection[str]) -> dict[str, Any]:
    """Return the settings that must stay equal when a study is continued."""
    return {
        "configuration": task.config.model_dump(mode="json", exclude_none=True),
        "data": task.dataset.fingerprint,
        "fixed": sorted(fixed),
        "space": {key: distribution_to_json(v) for key, v in task.space.items()},
    }


def _num_begun(study: Study) -> int:
    """Count the trials that have finished or are running in another process."""
    trials = study.get_trials(deepcopy=False)
    return sum(is_finished(trial) or is_running(trial) for trial in trials)
