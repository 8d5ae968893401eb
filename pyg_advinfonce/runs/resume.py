"""Resuming: whether a training may go on from a saved state."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import CheckpointError
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
    """Read the state of a training that is to go on.

    Args:
        path: The file.
        config: The settings to go on with.
        fingerprint: The data, in one line.
        device: Where it goes on. Another kind of device draws other random numbers, and
            is a warning.
        force: Accept other values of ``HARMLESS``.

    Raises:
        CheckpointError: If the file is damaged, or of other settings or data.
    """
    state, run = read_state(path)
    check_settings(run["settings"], config, force=force)
    _check_epochs(state, config)
    check_data(path, run["data"], fingerprint)
    if run["device"].split(":")[0] != device.split(":")[0]:
        warnings.warn(
            f"training began on {run['device']} and goes on on {device}: it is as good "
            "as any, but not the one that it would have been",
            stacklevel=2,
        )
    return state


def _check_epochs(state: TrainingState, config: Config) -> None:
    """Refuse an end that has passed: no validation was made for it."""
    history = state.about["history"]
    unfinished = config.train.epochs == len(history) and not history[-1]["metrics"]
    if config.train.epochs < len(history) or unfinished:
        raise CheckpointError(
            f"the run has had {len(history)} epochs already: train.epochs must be more "
            f"(got {config.train.epochs})"
        )


def check_settings(
    saved: Mapping[str, Any], config: Config, *, force: bool = False
) -> None:
    """Compare the settings that a training had with those it is to go on with.

    Args:
        saved: :meth:`~pyg_advinfonce.config.Config.flat` of the first.
        config: The others.
        force: Accept other values of ``HARMLESS``.

    Raises:
        CheckpointError: If they differ; the message lists how.
    """
    now = json.loads(json.dumps(config.flat()))  # as the other has been written
    keys = [k for k in {**saved, **now} if saved.get(k) != now.get(k)]
    refused = [k for k in keys if not (force and k in HARMLESS)]
    if not refused:
        return
    changes = ", ".join(
        f"{k} {saved.get(k, 'built-in')} -> {now.get(k, 'built-in')}" for k in refused
    )
    hint = "use --force" if set(keys) <= set(HARMLESS) else "train it as another run"
    raise CheckpointError(f"the run had other settings ({changes}): {hint}")
