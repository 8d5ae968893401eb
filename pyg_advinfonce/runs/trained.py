"""A trained seed: the result of training, or loaded from its folder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch_geometric.data import HeteroData

from pyg_advinfonce.build import build_method, prepare
from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import load_dataset
from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.evaluation import UserMetrics
from pyg_advinfonce.machine import find_device
from pyg_advinfonce.methods import Method
from pyg_advinfonce.runs.finished import check_data, read_seed
from pyg_advinfonce.runs.folder import seed_folders
from pyg_advinfonce.serving import export, recommend
from pyg_advinfonce.training import (
    Record,
    load_weights,
)


@dataclass(frozen=True, repr=False)
class LoadedRun:
    """One trained seed; it unpacks into ``config, method, graph``.

    Attributes:
        config: What was trained.
        method: The method with the weights of the best validation epoch.
        graph: The normalised graph.
        fingerprint: The data, in one line.
    """

    config: Config
    method: Method
    graph: HeteroData
    fingerprint: str

    def __repr__(self) -> str:
        config = self.config
        return f"LoadedRun({config.model} + {config.criterion} on {self.fingerprint})"

    def __iter__(self) -> Iterator[Any]:
        return iter((self.config, self.method, self.graph))

    recommend = recommend

    def export(self, path: Path, to: str | None = None) -> Path:
        """Write the embeddings; :func:`~pyg_advinfonce.serving.export` says how.

        Model, loss, seed and data are noted in the file.
        """
        notes = {
            "model": self.config.model,
            "loss": self.config.criterion,
            "seed": str(self.config.train.seed),
            "data": self.fingerprint,
        }
        return export(self.method, self.graph, path, to=to, notes=notes)


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


@dataclass(frozen=True, repr=False)
class Result:
    """One trained seed.

    Attributes:
        method: The method with the weights of the best validation epoch.
        metrics: Every split's metrics at that epoch, ``test/recall@20`` and so on.
        best_epoch: That epoch, counted from 0.
        history: One record an epoch.
        seconds_per_epoch: Mean training time, the first epoch and evaluation excluded.
        wall_seconds: Training and evaluation; loading data and building excluded.
        device: What it ran on.
        per_user: What the metrics are the means of, a split each.
        graph: The normalised graph that it was trained on.
    """

    method: Method
    metrics: dict[str, float]
    best_epoch: int
    history: list[Record]
    seconds_per_epoch: float | None
    wall_seconds: float
    device: str
    per_user: Sequence[UserMetrics] = ()
    graph: HeteroData = field(kw_only=True)

    recommend = recommend

    def __repr__(self) -> str:
        metrics = ", ".join(
            f"{name} {value:.4f}" for name, value in self.metrics.items()
        )
        return f"Result(best epoch {self.best_epoch} of {len(self.history)}: {metrics})"
