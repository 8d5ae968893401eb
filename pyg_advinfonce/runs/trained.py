"""A trained seed, returned by training or loaded from its folder."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch_geometric.data import HeteroData

from pyg_advinfonce.build import CustomLoss, CustomModel, build_method, prepare
from pyg_advinfonce.config import IN_MEMORY, Config
from pyg_advinfonce.datasets import Dataset, as_dataset, load_named
from pyg_advinfonce.datasets.base import check_name
from pyg_advinfonce.encoders import FixedEmbeddings
from pyg_advinfonce.errors import (
    CheckpointError,
    ConfigError,
    DatasetNotFoundError,
    UnknownNameError,
    explaining_memory,
    optional_package,
)
from pyg_advinfonce.evaluation import UserMetrics
from pyg_advinfonce.graph import num_nodes, split_names
from pyg_advinfonce.machine import find_device
from pyg_advinfonce.methods import Method
from pyg_advinfonce.objective import Objective
from pyg_advinfonce.registry import DATASETS, custom_name, data_root
from pyg_advinfonce.runs.finished import (
    check_data,
    epoch_text,
    history_table,
    read_history,
    read_seed,
)
from pyg_advinfonce.runs.folder import (
    CONFIG,
    EMBEDDINGS,
    HISTORY,
    METRICS,
    WEIGHTS,
    trained_seed,
)
from pyg_advinfonce.runs.listing import data_place
from pyg_advinfonce.serving import export, recommend
from pyg_advinfonce.training import (
    Record,
    Trainer,
    load_weights,
    read_tensors,
    write_tensors,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURED = (
    *("metrics", "best_epoch", "epochs", "device", "seconds_per_epoch", "wall_seconds"),
)
"""What a result has from ``metrics.json``."""


@dataclass(frozen=True, repr=False)
class Result:
    """One trained seed, ready for use.

    Attributes:
        config: The configuration.
        method: The method with the weights of the best validation epoch.
        graph: The normalised graph that it was trained on.
        fingerprint: The fingerprint of the data.
        metrics: The metrics of every split at that epoch, e.g. ``test/recall@20``;
            empty for a training that failed.
        best_epoch: That epoch, counted from 0; -1 for a training that failed.
        epochs: The number of trained epochs.
        device: The device of the training.
        seconds_per_epoch: Mean training time per epoch, without evaluation and without
            the first epoch.
        wall_seconds: The time of the whole run, without loading the data.
        history: One record per epoch; :meth:`history_frame` has them as a table.
        per_user: The metrics per user, one entry per split; empty when loaded.
    """

    config: Config
    method: Method
    graph: HeteroData
    fingerprint: str
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    best_epoch: int = -1
    epochs: int = 0
    device: str = ""
    seconds_per_epoch: float | None = None
    wall_seconds: float = 0.0
    history: Sequence[Record] = ()
    per_user: Sequence[UserMetrics] = ()

    recommend = recommend

    def export(self, path: Path | str, to: str | None = None) -> Path:
        """Write the embeddings; :func:`~pyg_advinfonce.serving.export` says how.

        The file records model, loss, seed and data.
        """
        notes = {
            "model": self.config.model.name,
            "loss": self.config.loss.name,
            "seed": str(self.config.train.seed),
            "data": self.fingerprint,
        }
        return export(self.method, self.graph, path, to=to, notes=notes)

    def history_frame(self) -> pd.DataFrame:
        """Return the history as a table, one row per epoch, one column per value."""
        return history_table([record.flat() for record in self.history])

    def plot(self) -> "Figure":
        """Draw the losses and the validation metric by epoch, and the best epoch.

        In a notebook the figure is shown; elsewhere ``result.plot().savefig(path)``
        writes it.

        Raises:
            MissingExtraError: If matplotlib is not installed.
        """
        pyplot = optional_package("matplotlib.pyplot")
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3), layout="tight")
        pyplot.close(figure)  # else a notebook shows it twice
        frame = self.history_frame()
        losses = {name: None for record in self.history for name in record.losses}
        shown = [name for name in losses if name.endswith("/rec")] or list(losses)
        for axes, names in ((left, shown), (right, [Trainer.monitor])):
            for name in names:
                if name in frame:
                    known = frame.dropna(subset=name)
                    axes.plot(known["epoch"], known[name], marker=".", label=name)
            if axes.lines:
                axes.legend()
            axes.set_xlabel("epoch")
        if self.best_epoch >= 0:
            right.axvline(self.best_epoch, color="grey", linestyle=":")
        left.set_title("mean loss of an epoch")
        right.set_title("validation, and the best epoch")
        found: Figure = figure
        return found

    def __repr__(self) -> str:
        shown: list[str] = []
        for split in dict.fromkeys(name.split("/")[0] for name in self.metrics):
            own = [n for n in self.metrics.items() if n[0].startswith(f"{split}/")]
            shown += [
                f"{name} {'nan' if value is None else format(value, '.4f')}"
                for name, value in own[:2]
            ]
        names = (self.config.model.name, self.config.loss.name)
        pair = " + ".join(name.rpartition(":")[2] for name in names)
        data = Path(self.config.data.name).name
        what = f"{pair} on {data}, seed {self.config.train.seed}"
        epochs = f"best epoch {epoch_text(self.best_epoch, self.epochs)}"
        return f"Result({what}, {epochs}: {', '.join(shown) or 'no metrics'})"


def load_run(
    folder: Path | str,
    *,
    data: Dataset | HeteroData | None = None,
    root: Path | str | None = None,
    cache_dir: Path | str | None = None,
    device: str = "auto",
    model: CustomModel | None = None,
    loss: CustomLoss | None = None,
) -> Result:
    """Load a trained seed, ready for use.

    Custom code that the run's files name is never imported. Unless the custom model and
    loss are passed, such a run ranks by the saved embeddings of its best epoch.

    Args:
        folder: The folder of one seed, or of a run of a single seed.
        data: The data of the run (default: loaded by its name); required for a graph or
            data frame in memory.
        root: As for :func:`load_data`.
        cache_dir: The folder of processed data.
        device: As for :func:`~pyg_advinfonce.experiment.train`.
        model: The custom model of the run, if it has one.
        loss: The custom loss of the run, if it has one.

    Raises:
        CheckpointError: If the folder holds no run, the run was trained on other data,
            or its custom model is not passed and it has no saved embeddings.
        ConfigError: If only one of two custom parts is passed, or a part that the run
            does not have.
        MemoryShortageError: If the model of the configuration is too large.
    """
    folder = trained_seed(Path(folder))
    config, place = Config.load(folder / CONFIG), find_device(device)
    finished = (folder / METRICS).is_file()  # a failed training has only weights
    outcome = read_seed(folder).outcome if finished else None
    named = load_data(folder, config, root, cache_dir) if data is None else data
    dataset = as_dataset(named)
    if outcome is not None:
        check_data(folder, outcome.data, dataset.fingerprint)
    graph = prepare(dataset, place, refit=config.train.refit)
    given = {"model": model, "loss": loss}
    for section, target in given.items():
        if target is not None and section not in config.custom:
            name = getattr(config, section).name
            raise ConfigError(
                f"{folder} has trained the {section} '{name}', no custom one "
                f"(got {custom_name(target)})"
            )
    if config.custom and all(given[section] is None for section in config.custom):
        method = _load_embeddings(folder, graph, config)
    else:
        with explaining_memory(f"while loading {folder}: see its {CONFIG}"):
            method = build_method(config, graph, model=model, loss=loss)
        load_weights(method, folder / WEIGHTS)
    known = {} if outcome is None else {n: getattr(outcome, n) for n in MEASURED}
    rows = read_history(folder) if (folder / HISTORY).is_file() else []
    known["history"] = [Record.of_flat(row, split_names(graph)) for row in rows]
    return Result(config, method.to(place), graph, dataset.fingerprint, **known)


def load_data(
    folder: Path,
    config: Config,
    root: Path | str | None = None,
    cache_dir: Path | str | None = None,
) -> Dataset:
    """Load the data of a seed: what its settings name, or else its place in training.

    The caller compares the fingerprints.

    Args:
        folder: The seed's folder.
        config: Its settings.
        root: The folder of the data sets (default: that of the environment variable
            ``ADVNCE_DATA``, else ``data``). A table or folder whose path leads nowhere
            is looked for in it, too.
        cache_dir: The folder of processed data.

    Raises:
        DatasetNotFoundError: If it is in none of these places.
    """
    name, root = config.data.name, data_root(root)
    try:
        return _load_named(config, root, cache_dir)
    except DatasetNotFoundError as error:
        was = data_place(folder)
        places = [root.resolve() / Path(name).name, *([] if was is None else [was])]
        for place in places:
            with suppress(DatasetNotFoundError):
                if name in DATASETS:
                    return config.load_dataset(place.parent, cache_dir)
                return load_named(str(place), config.data.options, cache_dir=cache_dir)
        if name in DATASETS:
            raise DatasetNotFoundError(
                f"{folder} was trained on '{name}': {error}"
            ) from error
        raise DatasetNotFoundError(
            f"{folder} was trained on '{name}', which is not in {Path.cwd()} and is "
            f"not {' or '.join(map(str, places))}: name the folder that holds it with "
            "--data-root DIR"
        ) from error


def _load_named(config: Config, root: Path, cache_dir: Path | str | None) -> Dataset:
    """Load the data by its name; an unknown name is that of a missing folder."""
    try:
        if config.data.name != IN_MEMORY:
            check_name(config.data.name, root)
    except UnknownNameError as error:
        raise DatasetNotFoundError(str(error)) from error
    return config.load_dataset(root, cache_dir)


@torch.no_grad()
def save_embeddings(method: Method, graph: HeteroData, path: Path) -> None:
    """Write a graph's embeddings, and the item vectors that new users are made of."""
    z, messages = method.encode(graph), method.encoder.item_messages(graph)
    tensors = {"user": z.user, "item": z.item}
    if messages is not None:
        tensors["messages"] = messages
    write_tensors(path, tensors, {"cosine": method.cosine})


def _load_embeddings(folder: Path, graph: HeteroData, config: Config) -> Method:
    """Return a method that ranks by saved embeddings; it cannot be trained."""
    file = folder / EMBEDDINGS
    if not file.is_file():
        names = [f"--{s} {getattr(config, s).name}" for s in config.custom]
        raise CheckpointError(
            f"{folder} has no {EMBEDDINGS}: its model ranks by its own scores, or its "
            f"training failed; pass the custom {' and '.join(config.custom)} again, on "
            f"the command line {' '.join(names)}"
        )
    tensors, about = read_tensors(file)
    num_users, num_items = num_nodes(graph)
    sizes = {"user": num_users, "item": num_items, "messages": num_items}
    user = tensors.get("user", torch.empty(0))
    width = user.shape[1:]
    expected = {n: (sizes.get(n), *width) for n in {*tensors, "user", "item"}}
    if (
        {name: table.shape for name, table in tensors.items()} != expected
        or len(width) != 1
        or {table.dtype for table in tensors.values()} != {user.dtype}
        or not user.is_floating_point()
        or not isinstance(about.get("cosine"), bool)
    ):
        raise CheckpointError(f"{file}: not the embeddings of this run")
    encoder = FixedEmbeddings(**tensors)
    return Method(encoder, Objective({}), (), cosine=about["cosine"])
