"""One trial: settings from the space, trained and scored on validation alone."""

import gc
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from optuna import TrialPruned
from optuna.exceptions import OptunaError
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from pyg_advinfonce.build import assemble
from pyg_advinfonce.config import Config, setting_values, unflatten
from pyg_advinfonce.datasets import Dataset
from pyg_advinfonce.errors import CheckpointError, counted
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.runs import STUDY
from pyg_advinfonce.studies.tuning.space import (
    Params,
    Space,
    suggest,
)
from pyg_advinfonce.studies.tuning.storage import is_finished, is_of_default, requeue
from pyg_advinfonce.studies.tuning.study_files import (
    STATES,
    params_text,
    trial_row,
    trial_text,
)
from pyg_advinfonce.training import Callback, EpochProgress, Record, Trainer

MAX_ERROR = 500
PROGRESS = ("epochs", "best_epoch")


class OutOfTimeError(Exception):
    """The study's time limit has passed."""


@dataclass(frozen=True)
class Task:
    """Configuration, data and limits that all trials of a study share.

    Attributes:
        config: The default configuration.
        dataset: The data.
        space: The search space.
        default: The default configuration's values that lie in the space.
        device: The device of all trials.
        deadline: The end of the time limit on the monotonic clock.
        progress: Receives every trial's settings, epochs and end.
        trials: The number of finished trials to stop at.
        custom: The custom model and loss, by section.
    """

    config: Config
    dataset: Dataset
    space: Space
    default: Params
    device: torch.device
    deadline: float
    progress: Progress
    trials: int
    custom: Mapping[str, Any] = field(default_factory=dict)


def run_trial(study: Study, task: Task) -> None:
    """Run a study's next trial; an error marks the trial as failed.

    Raises:
        CheckpointError: If the study does not keep the trial.
        OutOfTimeError: If the time limit has passed; the trial is queued again.
        KeyboardInterrupt: If the trial is interrupted; it is queued again.
    """
    if time.monotonic() >= task.deadline:
        raise OutOfTimeError
    trial = study.ask()
    trial.set_user_attr("process", os.getpid())
    judge = _Judge(trial, task.deadline)
    try:
        outcome = _attempt(study, task, trial, judge)
    except (KeyboardInterrupt, OutOfTimeError):
        _note(trial, judge)
        requeue(study, frozen(study, trial), task.default)
        task.progress.say(trial_text(trial_row(frozen(study, trial))))
        raise
    _free_memory()
    _note(trial, judge)
    study.tell(trial, **outcome)
    stored = frozen(study, trial)
    if not is_finished(stored):  # the next trial would not be stored either
        raise CheckpointError(f"{STUDY} is damaged: trial {trial.number} was not kept")
    task.progress.say(f"{trial_text(trial_row(stored))}{_best(study)}")


def _best(study: Study) -> str:
    """Return the best complete trial as text, if any."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        return ""
    return f", best so far {study.best_value:.4f} of trial {study.best_trial.number}"


def study_text(study: Study, trials: int) -> str:
    """Return how far a study is, in one line."""
    states = [t.state for t in study.get_trials(deepcopy=False) if is_finished(t)]
    counts = ", ".join(
        f"{states.count(state)} {name}"
        for state, name in STATES.items()
        if state in states
    )
    return (
        f"{len(states)} of {counted(trials, 'trial')} finished ({counts}){_best(study)}"
    )


def _note(trial: Trial, judge: "_Judge") -> None:
    for name, value in judge.notes.items():
        trial.set_user_attr(name, value)


def frozen(study: Study, trial: Trial) -> FrozenTrial:
    """Return the stored state of a trial."""
    found = [t for t in study.get_trials(deepcopy=False) if t.number == trial.number]
    if not found:
        raise CheckpointError(f"the study is damaged: it has no trial {trial.number}")
    return found[0]


def _attempt(
    study: Study, task: Task, trial: Trial, judge: "_Judge"
) -> Mapping[str, Any]:
    """Train a trial's configuration; return the arguments of ``study.tell``."""
    try:
        done = sum(map(is_finished, study.get_trials(deepcopy=False)))
        label = f"trial {trial.number} ({done + 1} of {task.trials})"
        config = _choose(study, task, trial)
        task.progress.say(f"{label}: {params_text(trial.user_attrs['settings'])}")
        if (earlier := _repeated(study, trial)) is not None:
            judge.notes |= {key: earlier.user_attrs[key] for key in PROGRESS}
            return {"values": earlier.value}
        epochs = config.train.epochs
        callbacks = [judge, EpochProgress(task.progress, label, epochs)]
        trainer = assemble(
            config,
            task.dataset,
            device=task.device,
            callbacks=callbacks,
            **task.custom,
        )
        trainer.fit()
    except TrialPruned:
        return {"state": TrialState.PRUNED}
    except (OptunaError, OutOfTimeError):
        raise
    except Exception as error:
        judge.notes["error"] = _one_line(error)
        return {"state": TrialState.FAIL}
    finally:
        task.progress.finish()
    return {"values": trainer.stopping.best_score}


def _choose(study: Study, task: Task, trial: Trial) -> Config:
    """Return the configuration of a trial.

    The draw depends on the seed, the trial's number and the earlier trials, not on the
    process. A default value outside the space is kept.
    """
    entropy = np.random.SeedSequence([task.config.train.seed, trial.number])
    seed = int(entropy.generate_state(1)[0])
    study.sampler = TPESampler(seed=seed, multivariate=False)
    is_default = is_of_default(frozen(study, trial))
    keys = task.default if is_default else task.space
    chosen = {key: suggest(trial, key, task.space[key]) for key in keys}
    config = task.config.updated(unflatten(chosen))
    values = setting_values(config, **task.custom)
    known = {k: values[k] for k in task.space if values.get(k) is not None}
    trial.set_user_attr("settings", known)
    return config


def _repeated(study: Study, trial: Trial) -> FrozenTrial | None:
    """Return a complete trial of the same settings, whose result would be the same."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    settings = trial.user_attrs["settings"]
    same = (other for other in complete if other.user_attrs["settings"] == settings)
    return next(same, None)


@dataclass
class _Judge(Callback):
    """Reports validations; ends a pruned trial, or any trial at the deadline."""

    trial: Trial
    deadline: float
    notes: dict[str, Any] = field(default_factory=dict)

    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
        self.notes["epochs"] = record.epoch + 1
        self.notes["best_epoch"] = trainer.stopping.best_epoch
        if trainer.monitor in record.metrics:
            self.trial.report(record.metrics[trainer.monitor], record.epoch)
            if self.trial.should_prune():
                raise TrialPruned
        if time.monotonic() >= self.deadline:
            raise OutOfTimeError


def _one_line(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= MAX_ERROR else f"{text[:MAX_ERROR]}..."


def _free_memory() -> None:
    """Release a trial's memory, also after a failure."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
