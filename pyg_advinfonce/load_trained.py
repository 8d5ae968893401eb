"""A run that was trained, loaded from its folder."""

from pathlib import Path
from typing import Any

from pyg_advinfonce.assemble import prepare
from pyg_advinfonce.build_method import build_method
from pyg_advinfonce.check_data import check_data
from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets.load import load_dataset
from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.find_device import find_device
from pyg_advinfonce.finished import read_seed
from pyg_advinfonce.run_folder import seed_folders
from pyg_advinfonce.serving.loaded_run import LoadedRun
from pyg_advinfonce.training.checkpoint import load_weights


def load_run(
    folder: Path | str,
    *,
    root: Path | str = "data",
    cache_dir: Path | str | None = None,
    device: str = "auto",
) -> LoadedRun:
    """Load a trained seed: its configuration, method and graph, ready for use.

    Args:
        folder: The folder of one seed, or of a run of a single seed.
        root: Where the data sets lie, unless it was trained on a path's.
        cache_dir: Where processed data is kept.
        device: As for :func:`~pyg_advinfonce.experiment.train`.

    Raises:
        CheckpointError: If the folder holds no run.
    """
    seeds = seed_folders(Path(folder))
    if len(seeds) > 1:
        names = ", ".join(seed.name for seed in seeds)
        raise CheckpointError(f"{folder} holds several seeds: choose one of {names}")
    folder = seeds[0]
    for name in ("config.toml", "weights.safetensors"):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder} holds no finished run, no {name}")
    config, place = Config.load(folder / "config.toml"), find_device(device)
    trained_on = _record(folder).get("data")
    dataset = load_dataset(
        config.dataset, root=root, cache_dir=cache_dir, **config.data
    )
    if trained_on is not None:
        check_data(folder, trained_on, dataset.fingerprint)
    graph = prepare(dataset, place)
    method = build_method(config, graph)
    load_weights(method, folder / "weights.safetensors")
    return LoadedRun(config, method.to(place), graph, dataset.fingerprint)


def _record(folder: Path) -> dict[str, Any]:
    """Return what a run says of itself; a failed one has nothing but its weights.

    Raises:
        CheckpointError: If that is damaged, or of a loss that nobody can find.
    """
    file = folder / "metrics.json"
    if not file.is_file():
        return {}
    record = read_seed(folder).record
    if record.get("own_loss") is not None:
        raise CheckpointError(
            f"{folder} was trained by {record['own_loss']}, which its settings do not "
            "name: build its method with it and use load_weights"
        )
    return record
