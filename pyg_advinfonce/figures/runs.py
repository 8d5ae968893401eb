"""The trainings that figures are made of: one set of settings, some of them varied."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd
import torch
from torch_geometric.data import HeteroData

from pyg_advinfonce.config import Config, Sections
from pyg_advinfonce.datasets.base import Dataset
from pyg_advinfonce.experiment import Result, build_criterion, train
from pyg_advinfonce.graph import split_names
from pyg_advinfonce.training.callbacks import Callback, Record

EVALUATIONS_AFTER = 20
MOST_EPOCHS = 2000

Say = Callable[[str], None]
Device = torch.device | str


def default_config(dataset: Dataset) -> Config:
    """Return LightGCN with AdvInfoNCE in the settings that come with a data set."""
    name = dataset.fingerprint.partition(": ")[0]
    return Config.resolve("lightgcn", "adv", name)


def variant(config: Config, criterion: str, loss: Sections) -> Config:
    """Return AdvInfoNCE's configuration with another loss and nothing else changed.

    Args:
        config: AdvInfoNCE's.
        criterion: The loss's name; InfoNCE takes AdvInfoNCE's temperature and weight.
        loss: Settings of its own.
    """
    shared = config.model_dump(mode="json", exclude_none=True)
    if criterion == "infonce":
        kept = ("tau", "negative_weight")
        shared["loss"] = {key: shared["loss"][key] for key in kept}
    layers = [{s: shared[s] for s in ("encoder", "loss", "train")}, loss]
    return Config.resolve(config.model, criterion, config.dataset, layers=layers)


def last_adversarial(
    config: Config, dataset: Dataset, *, before: int = MOST_EPOCHS
) -> int:
    """Return the adversary's last epoch, counted from 0; -1 if it never runs."""
    criterion: Any = build_criterion(config, dataset.graph)
    return max(filter(criterion.is_adversarial, range(before)), default=-1)


def num_epochs(config: Config, dataset: Dataset) -> int:
    """Return so many epochs that evaluations follow when the adversary is done."""
    after = EVALUATIONS_AFTER * config.train.eval_every
    return last_adversarial(config, dataset) + 1 + after


def learn(
    config: Config,
    dataset: Dataset,
    *,
    seed: int,
    epochs: int,
    device: Device,
    callbacks: Sequence[Callback] = (),
) -> Result:
    """Train one seed for exactly so many epochs."""
    settings = {"epochs": epochs, "seed": seed, "patience": epochs}
    config = config.updated({"train": settings})
    return train(config, dataset, device=device, callbacks=callbacks)


def test_splits(graph: HeteroData) -> list[str]:
    """Return the names of the test splits, the main one first."""
    return [name for name in split_names(graph) if name != "valid"]


def curve(result: Result, columns: dict[str, str], **labels: object) -> pd.DataFrame:
    """Return one row an evaluated epoch.

    Args:
        result: The training.
        columns: Names of the history's values, by the column they become.
        **labels: Constant columns that come first, e.g. ``seed=0``.
    """
    evaluated = [record for record in result.history if record.metrics]
    rows = [{"epoch": r.epoch} | values_of(r, columns) for r in evaluated]
    table = pd.DataFrame(rows, columns=["epoch", *columns])
    table = table.astype(dict.fromkeys(columns, float))
    for place, (name, value) in enumerate(labels.items()):
        table.insert(place, name, [value] * len(table))
    return table


def values_of(record: Record, columns: dict[str, str]) -> dict[str, float | None]:
    """Return some of a record's values, by the column they become."""
    known = record.flat()
    return {column: known.get(name) for column, name in columns.items()}


def spread(table: pd.DataFrame, by: Iterable[str], value: str) -> pd.DataFrame:
    """Return mean and standard error over seeds, zero for a single seed."""
    found = table.groupby(list(by), sort=False)[value].agg(["mean", "sem"])
    return found.fillna({"sem": 0.0}).reset_index()
