"""A run that was trained, loaded from its folder."""

import json
from pathlib import Path

from pyg_advinfonce.assemble import prepare
from pyg_advinfonce.build_method import build_method
from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets.load import load_dataset
from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.find_device import find_device
from pyg_advinfonce.run_folder import seed_folders
from pyg_advinfonce.serving.loaded_run import LoadedRun
from pyg_advinfonce.training.checkpoint import load_weights


def load_run(
    folder: Path, *, root: Path, cache_dir: Path | None = None, device: str = "auto"
) -> LoadedRun:
    """Load a trained seed: its configuration, method and graph, ready for use.

    Args:
        folder: The folder of one seed, or of a run of a single seed.
        root: Where the data sets lie.
        cache_dir: Where processed data is kept.
        device: As for :func:`~pyg_advinfonce.experiment.train`.

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
