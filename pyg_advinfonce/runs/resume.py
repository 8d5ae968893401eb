"""Checks before an interrupted training is resumed."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import CheckpointError, counted
from pyg_advinfonce.runs.finished import check_data
from pyg_advinfonce.training import TrainingState, read_state

HARMLESS = ("train.epochs", "train.patience")
"""Settings that decide when training ends; the last epoch is always validated."""


def load_state(
    path: Path,
    config: Config,
    fingerprint: str,
    device: str,
    *,
    force: bool = False,
) -> TrainingState:
    """Read the state of a training to resume.

    Args:
        path: The file.
        config: The settings to resume with.
        fingerprint: The fingerprint of the data.
        device: The device to resume on.
        force: Accept other values of the settings in ``HARMLESS``.

    Raises:
        CheckpointError: If the file is damaged or belongs to other settings or data.

    Warns:
        UserWarning: If the kind of device changed, which changes the random numbers.
    """
    state, run = read_state(path)
    check_settings(run.settings, config, force=force)
    _check_epochs(state, config)
    check_data(path, run.data, fingerprint)
    if run.device.split(":")[0] != device.split(":")[0]:
        warnings.warn(
            f"training began on {run.device} and is resumed on {device}: the result "
            "is valid, but differs from an uninterrupted run",
            stacklevel=2,
        )
    return state


def _check_epochs(state: TrainingState, config: Config) -> None:
    """Refuse a last epoch that has passed without a validation."""
    history = state.about["history"]
    unfinished = config.train.epochs == len(history) and not history[-1]["metrics"]
    if config.train.epochs < len(history) or unfinished:
        raise CheckpointError(
            f"the run has trained {counted(len(history), 'epoch')} already: "
            f"train.epochs must be larger (got {config.train.epochs})"
        )


def check_settings(
    saved: Mapping[str, Any], config: Config, *, force: bool = False
) -> None:
    """Compare the settings of a saved training with those to resume with.

    Args:
        saved: :meth:`~pyg_advinfonce.config.Config.flat` of the saved training.
        config: The settings to resume with.
        force: Accept other values of the settings in ``HARMLESS``.

    Raises:
        CheckpointError: If settings differ; the message lists the differences.
    """
    now = json.loads(json.dumps(config.flat()))  # in the saved form
    keys = [k for k in {**saved, **now} if saved.get(k) != now.get(k)]
    refused = [k for k in keys if not (force and k in HARMLESS)]
    if not refused:
        return
    changes = ", ".join(
        f"{k} {saved.get(k, 'default')} -> {now.get(k, 'default')}" for k in refused
    )
    hint = "add --force" if set(keys) <= set(HARMLESS) else "train another run"
    raise CheckpointError(f"the run has other settings ({changes}): {hint}")
