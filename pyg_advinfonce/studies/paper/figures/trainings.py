"""Trainings of the figures and the cache of their tables."""

import json
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from pydantic import create_model
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.build import build_loss, prepare
from pyg_advinfonce.config import Config, Sections, setting_values
from pyg_advinfonce.datasets import Dataset
from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.experiment import train
from pyg_advinfonce.files import write_text
from pyg_advinfonce.graph import is_among, split_edges, test_splits
from pyg_advinfonce.keys import pair_keys
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.runs import Result
from pyg_advinfonce.schema import Count, FileData, Real, read_json
from pyg_advinfonce.training import Callback, Record

EVALUATIONS_AFTER = 20
MOST_EPOCHS = 2000
LEARNED = ("adv", "adv-mlp", "adv-reverse")
"""The losses with an adversary that learns."""
FORMAT_VERSION = 1
"""Version of the tables, increased if the same settings give another table."""

Device = torch.device | str
Schedule = Callable[[int], bool]
"""Function that returns whether an epoch, counted from 0, is adversarial."""
Likes = Callable[[Tensor, Tensor], Tensor]
"""Function that returns whether users like items, both given by id."""


def cached_table(
    folder: Path | None,
    key: Sequence[object],
    make: Callable[[], pd.DataFrame],
    columns: Mapping[str, Any],
) -> pd.DataFrame:
    """Return a cached table, or make and cache it.

    Args:
        folder: The folder of the cache; None caches nothing.
        key: JSON-ready values that determine the table.
        make: The function that makes the table; its index is not cached.
        columns: The type of the values of each column.

    Raises:
        CheckpointError: If the cached table is damaged.
    """
    if folder is None:
        return make()
    digest = sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    path = folder / f"{digest[:16]}.json"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(make().to_dict("list")))
    fields: Any = {n: (types.GenericAlias(list, (t,)), ...) for n, t in columns.items()}
    found = dict(read_json(path, create_model("Table", __base__=FileData, **fields)))
    if len({len(values) for values in found.values()}) > 1:
        raise CheckpointError(f"{path} is damaged: its columns differ in length")
    return pd.DataFrame(found)


class Variation(NamedTuple):
    """One of the trainings that a figure compares.

    Attributes:
        text: The text for progress.
        config: The settings.
        labels: The constant columns in the table.
    """

    text: str
    config: Config
    labels: Mapping[str, object]


def default_config(dataset: Dataset) -> Config:
    """Return LightGCN with AdvInfoNCE in the packaged settings of a data set."""
    name = dataset.fingerprint.partition(": ")[0]
    return Config.resolve("lightgcn", "adv", name)


def variant(config: Config, loss: str, settings: Sections) -> Config:
    """Return AdvInfoNCE's configuration with only the loss changed.

    Losses with a learning adversary keep the hardness.

    Args:
        config: AdvInfoNCE's configuration.
        loss: The loss's name; InfoNCE takes AdvInfoNCE's temperature and weight.
        settings: Further settings.
    """
    shared = config.model_dump(exclude_none=True)
    names = ["model", "train"]
    if loss == "infonce":
        known = setting_values(config)
        shared["loss"] = {k: known[f"loss.{k}"] for k in ("tau", "negative_weight")}
    if loss in LEARNED:
        names.append("hardness")
    shared["loss"].pop("name", None)
    layers = [{name: shared[name] for name in [*names, "loss"]}, settings]
    return Config.resolve(config.model.name, loss, config.data.name, layers=layers)


def schedules(dataset: Dataset, *configs: Config) -> list[Schedule]:
    """Return the adversary's schedule in each configuration."""
    graph = prepare(dataset, torch.device("cpu"))
    losses: list[Any] = [build_loss(config, graph) for config in configs]
    return [loss.is_adversarial for loss in losses]


def last_adversarial(schedule: Schedule, *, before: int = MOST_EPOCHS) -> int:
    """Return the adversary's last epoch, counted from 0; -1 if it never runs."""
    return max(filter(schedule, range(before)), default=-1)


def num_epochs(config: Config, schedule: Schedule) -> int:
    """Return a number of epochs with evaluations after the last adversarial epoch."""
    after = EVALUATIONS_AFTER * config.train.eval_every
    return last_adversarial(schedule) + 1 + after


def train_epochs(
    config: Config,
    dataset: Dataset,
    *,
    seed: int,
    epochs: int,
    device: Device,
    callbacks: Sequence[Callback] = (),
) -> Result:
    """Train one seed for exactly ``epochs`` epochs."""
    settings = {"epochs": epochs, "seed": seed, "patience": epochs}
    config = config.updated({"train": settings})
    return train(config, dataset, device=device, callbacks=callbacks, progress=False)


def cache_key(
    config: Config, dataset: Dataset, *, seed: int, epochs: int, shown: object
) -> list[object]:
    """Return the key for :func:`cached_table` of a :func:`train_epochs` table.

    Args:
        config: The settings.
        dataset: The data.
        seed: The seed.
        epochs: The number of epochs.
        shown: A description of the table's content.
    """
    overridden = ("train.epochs", "train.patience", "train.seed")
    settings = {k: v for k, v in config.flat().items() if k not in overridden}
    return [FORMAT_VERSION, settings, dataset.fingerprint, seed, epochs, shown]


def curves(
    variations: Iterable[Variation],
    dataset: Dataset,
    columns: dict[str, str],
    *,
    seeds: Sequence[int],
    epochs: int,
    device: Device,
    callbacks: Sequence[Callback],
    progress: Progress,
    runs: Path | None = None,
) -> pd.DataFrame:
    """Train every variation with every seed; return the table of all curves.

    Args:
        variations: The trainings.
        dataset: The data.
        columns: As for :func:`curve`.
        seeds: The seeds.
        epochs: The number of epochs of each training.
        device: As for :func:`~pyg_advinfonce.experiment.train`.
        callbacks: Called after every epoch; they must be stateless.
        progress: Receives every training.
        runs: The folder of cached curves; None caches nothing.
    """

    def make(text: str, config: Config, seed: int) -> pd.DataFrame:
        progress.say(f"{text}, seed {seed}, {epochs} epochs")
        result = train_epochs(
            config,
            dataset,
            seed=seed,
            epochs=epochs,
            device=device,
            callbacks=callbacks,
        )
        return curve(result, columns)

    tables = []
    for text, config, labels in variations:
        for seed in seeds:
            key = cache_key(config, dataset, seed=seed, epochs=epochs, shown=columns)
            train_one = partial(make, text, config, seed)
            kinds = {"epoch": Count, **dict.fromkeys(columns, Real)}
            table = cached_table(runs, key, train_one, kinds)
            tables.append(labelled(table, **labels, seed=seed))
    return pd.concat(tables, ignore_index=True)


def curve(result: Result, columns: dict[str, str]) -> pd.DataFrame:
    """Return one row per evaluated epoch.

    Args:
        result: The training.
        columns: Names of the history's values, by column.
    """
    evaluated = [record for record in result.history if record.metrics]
    rows = [{"epoch": r.epoch} | values_of(r, columns) for r in evaluated]
    table = pd.DataFrame(rows, columns=["epoch", *columns])
    return table.astype(dict.fromkeys(columns, float))


def labelled(table: pd.DataFrame, **labels: object) -> pd.DataFrame:
    """Return a table with constant columns in front, e.g. ``seed=0``."""
    table = table.copy()
    for place, (name, value) in enumerate(labels.items()):
        table.insert(place, name, [value] * len(table))
    return table


def values_of(record: Record, columns: dict[str, str]) -> dict[str, float | None]:
    """Return some of a record's values, by column."""
    known = record.flat()
    return {column: known.get(name) for column, name in columns.items()}


def mean_and_error(table: pd.DataFrame, by: Iterable[str], value: str) -> pd.DataFrame:
    """Return mean and standard error over seeds, zero for a single seed."""
    found = table.groupby(list(by), sort=False)[value].agg(["mean", "sem"])
    return found.fillna({"sem": 0.0}).reset_index()


def known_likes(dataset: Dataset) -> Likes:
    """Return a function that tells whether users like items.

    Simulated data has the true answer. Elsewhere a user likes the items in its test
    splits, and no others.
    """
    known: Likes | None = getattr(dataset, "likes", None)
    return known or likes_in_test_splits(dataset.graph)


def likes_in_test_splits(graph: HeteroData) -> Likes:
    """Return a function that tells whether pairs are in any test split of a graph."""
    pairs = torch.cat([split_edges(graph, name) for name in test_splits(graph)], dim=1)
    keys = pair_keys(*pairs).unique()

    def likes(user_id: Tensor, item_id: Tensor) -> Tensor:
        return is_among(pair_keys(user_id, item_id), keys.to(item_id.device))

    return likes
