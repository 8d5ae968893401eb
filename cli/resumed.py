"""``advnce train --resume``: go on with a run that was interrupted."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pyg_advinfonce.config import Config, Sections
from pyg_advinfonce.datasets.load import load_dataset
from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.resume import check_settings
from pyg_advinfonce.run_folder import seed_folders

from .seed_loop import SeedLoop


def resume(
    run: Path,
    names: Mapping[str, str],
    layers: Sequence[Sections],
    make_loop: Callable[..., SeedLoop],
    *,
    data_root: Path,
    cache_dir: Path | None,
    force: bool,
) -> None:
    """Train what a run still lacks and print its summary.

    Args:
        run: The run's folder, or that of one of its seeds.
        names: Model, criterion and data set, as far as they are repeated.
        layers: Settings that are repeated, or changed by force.
        make_loop: Makes what trains, of the folder and the data.
        data_root: Where data sets lie.
        cache_dir: Where processed data is kept.
        force: Accept settings that decide when training ends, and nothing before.

    Raises:
        CheckpointError: If the folder holds no run, or one of other settings.
    """
    folder = run.parent if (run / "config.toml").is_file() else run
    saved = [_load(seed) for seed in seed_folders(folder)]
    configs = [_changed(config, names, layers, force=force) for config in saved]
    _check_alike(configs)
    data = configs[0]
    dataset = load_dataset(
        data.dataset, root=data_root, cache_dir=cache_dir, **data.data
    )
    make_loop(folder, dataset, resume=True, force=force).run(configs)


def _load(seed: Path) -> Config:
    file = seed / "config.toml"
    if not file.is_file():
        raise CheckpointError(f"{seed} holds no run to go on with, no {file.name}")
    return Config.load(file)


def _check_alike(configs: Sequence[Config]) -> None:
    """Refuse seeds of different settings, which a forced run may have left."""
    for config in configs[1:]:
        first = configs[0].updated({"train": {"seed": config.train.seed}})
        if config != first:
            raise CheckpointError(
                f"the seeds differ in their settings (train.epochs "
                f"{configs[0].train.epochs} and {config.train.epochs}, train.patience "
                f"{configs[0].train.patience} and {config.train.patience}): say with "
                "--force which ones all are to have"
            )


def _changed(
    saved: Config, names: Mapping[str, str], layers: Sequence[Sections], *, force: bool
) -> Config:
    """Return a seed's settings with those that are given anew, if they may differ."""
    config = saved.model_copy(update=dict(names))
    for layer in layers:
        config = config.updated(layer)
    check_settings(saved.flat(), config, force=force)
    return config
