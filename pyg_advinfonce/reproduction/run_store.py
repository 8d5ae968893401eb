"""Runs that are kept by what they are, and found again."""

import json
import shutil
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

import torch
from filelock import FileLock

from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets.base import Dataset
from pyg_advinfonce.errors import CheckpointError, ConfigError
from pyg_advinfonce.experiment import train
from pyg_advinfonce.finished import FinishedSeed, read_seed
from pyg_advinfonce.run_folder import folder_name
from pyg_advinfonce.training.callbacks import Callback


def run_folder(root: Path, config: Config, fingerprint: str) -> Path:
    """Return where a run belongs: other settings or other data, another folder.

    Args:
        root: The folder of all runs.
        config: The run's configuration; its seed does not matter.
        fingerprint: The data's.
    """
    settings = config.flat()
    settings.pop("train.seed")
    text = json.dumps([settings, fingerprint], sort_keys=True)
    data = folder_name(Path(config.dataset).name)
    digest = sha256(text.encode()).hexdigest()[:10]
    return root / f"{data}-{config.model}-{config.criterion}-{digest}"


def find_seed(folder: Path, config: Config, fingerprint: str) -> FinishedSeed | None:
    """Return a run's seed if it is there, whole, and what it is taken for."""
    try:
        found = read_seed(_seed_folder(folder, config))
    except (CheckpointError, ConfigError):
        return None
    same = found.config == config and found.fingerprint == fingerprint
    return found if same else None


def train_seed(
    folder: Path,
    config: Config,
    dataset: Dataset,
    *,
    device: torch.device,
    callbacks: Sequence[Callback] = (),
) -> FinishedSeed:
    """Train a run's seed, or what is left of it, unless another process has done so.

    Raises:
        NonFiniteLossError: If training leaves the real numbers.
    """
    seed = _seed_folder(folder, config)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{seed.name}.lock"):
        found = find_seed(folder, config, dataset.fingerprint)
        if found is not None:
            return found
        run = partial(train, config, dataset, device=device, out=seed)
        try:
            run(callbacks=callbacks, resume=True)
        except CheckpointError:  # nobody can go on from there
            shutil.rmtree(seed)
            run(callbacks=callbacks)
    return read_seed(seed)


def _seed_folder(folder: Path, config: Config) -> Path:
    return folder / f"seed-{config.train.seed}"
