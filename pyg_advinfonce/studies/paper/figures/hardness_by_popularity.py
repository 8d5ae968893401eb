"""Figure 4a: hardness of negatives by popularity."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import Dataset
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.graph import train_degrees
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.schema import Count, Number
from pyg_advinfonce.studies.paper.figures.style import (
    GREY,
    ORANGE,
    draw_band,
    draw_level,
    label_ends,
    new_figure,
    styled,
)
from pyg_advinfonce.studies.paper.figures.trainings import (
    Device,
    cache_key,
    cached_table,
    default_config,
    last_adversarial,
    mean_and_error,
    schedules,
    train_epochs,
)
from pyg_advinfonce.training import Callback, Record, Trainer, batch_hardness

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ProbabilityRecorder(Callback):
    r"""Records the mean :math:`p(j \mid u, i)` by popularity on an epoch's last batch.

    Each row's ``K`` negatives are sorted by popularity, the least popular first, and
    :math:`p = e^{\delta} / K` is averaged over the rows (docs/methods.md 4.4.2).

    Attributes:
        before: ``[K]`` means in the last epoch before the first adversarial epoch; None
            if epoch 0 is adversarial.
        after: ``[K]`` means in the last adversarial epoch so far; None before the
            first.
    """

    def __init__(self) -> None:
        self.before: Tensor | None = None
        self.after: Tensor | None = None

    def on_epoch_end(self, trainer: Trainer, record: Record) -> None:
        attacked = trainer.ran_beside_main(record)
        if trainer.last_batch is None or not (attacked or self.after is None):
            return
        graph, batch = trainer.last_batch
        delta = batch_hardness(trainer.method, trainer.method.encode(graph), batch)
        found = probability_by_popularity(delta, batch, trainer.graph)
        self.before, self.after = (
            (self.before, found) if attacked else (found, self.after)
        )


def probability_by_popularity(
    delta: Tensor, batch: EdgeBatch, graph: HeteroData
) -> Tensor:
    """Return the mean p ``[K]`` of hardness ``[B, K]``, least popular first."""
    count = train_degrees(graph)[1]  # [I]
    order = count[batch.neg_id].argsort(dim=-1, stable=True)  # [B, K]
    return (delta.exp() / delta.size(-1)).gather(-1, order).mean(0).cpu()


MOMENTS = {
    "before": ("before its\nfirst epoch", GREY),
    "after": ("after its\nlast epoch", ORANGE),
    "best": ("at the best\nvalidation", ORANGE),
}
COLUMNS = {
    "seed": Count,
    "moment": Literal["before", "after", "best"],
    "rank": Count,
    "probability": Number,
}


def hardness_by_popularity(
    dataset: Dataset,
    *,
    seeds: Sequence[int],
    epochs: int | None = None,
    config: Config | None = None,
    device: Device = "auto",
    progress: Progress = Progress(),
    runs: Path | None = None,
) -> pd.DataFrame:
    """Train AdvInfoNCE and return the negatives' probabilities by popularity.

    Args:
        dataset: The data.
        seeds: The seeds.
        epochs: The number of epochs (default: up to the last adversarial one).
        config: AdvInfoNCE's settings (default: the packaged ones of the data set).
        device: As for :func:`~pyg_advinfonce.experiment.train`.
        progress: Receives every training.
        runs: The folder of cached results; None caches nothing.

    Returns:
        Columns ``seed``, ``moment`` (before the first adversarial epoch, after the
        last), ``rank`` of the negative's popularity within its row, from 0, the least
        popular, to K - 1, and ``probability``, the mean p(j | u, i).

    Raises:
        ConfigError: If no epoch is adversarial.
    """
    config = (config or default_config(dataset)).fitted_to(dataset)
    epochs = _epochs(config, dataset, epochs, progress)

    def make(seed: int) -> pd.DataFrame:
        progress.say(f"hardness by popularity: seed {seed}, {epochs} epochs")
        found = ProbabilityRecorder()
        train_epochs(
            config, dataset, seed=seed, epochs=epochs, device=device, callbacks=[found]
        )
        moments = {"before": found.before, "after": found.after}
        tables = [probability_table(mean, name, seed) for name, mean in moments.items()]
        return pd.concat(tables, ignore_index=True)

    keys = {
        seed: cache_key(config, dataset, seed=seed, epochs=epochs, shown="profile")
        for seed in seeds
    }
    tables = [
        cached_table(runs, key, partial(make, seed), COLUMNS)
        for seed, key in keys.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _epochs(
    config: Config, dataset: Dataset, asked: int | None, progress: Progress
) -> int:
    """Return the number of epochs; at least one of them is adversarial."""
    [schedule] = schedules(dataset, config)
    last = last_adversarial(schedule)
    epochs = last + 1 if asked is None else asked
    if last_adversarial(schedule, before=epochs) < 0:
        raise ConfigError(
            f"hardness by popularity needs an adversarial epoch (got {epochs} epochs, "
            "none adversarial): raise --epochs"
        )
    if epochs <= last:
        progress.say(
            f"training ends after {epochs} epochs, before the last adversarial one "
            f"(epoch {last}, counted from 0)"
        )
    return epochs


def probability_table(mean: Tensor | None, moment: str, seed: int) -> pd.DataFrame:
    """Return the table of probabilities ``[K]`` by rank, empty for None."""
    values = [] if mean is None else mean.tolist()
    columns = {"rank": range(len(values)), "probability": values}
    return pd.DataFrame({"seed": seed, "moment": moment, **columns})


@styled
def draw_hardness_by_popularity(table: pd.DataFrame) -> "Figure":
    """Draw the mean probability by rank and moment, with its standard error over seeds.

    Args:
        table: Columns ``seed``, ``moment``, ``rank`` and ``probability``.
    """
    figure, [[axes]] = new_figure(4.8, 3.2)
    width = int(table["rank"].max()) + 1
    draw_level(axes, 1 / width)
    ends = []
    for moment, (label, color) in MOMENTS.items():
        rows = mean_and_error(table[table["moment"] == moment], ["rank"], "probability")
        if len(rows) == 0:
            continue
        draw_band(axes, rows["rank"] + 1, rows, color, alpha=0.2)
        ends.append((float(rows["mean"].iloc[-1]), label, color))
    axes.set_xlim(1, width)
    axes.set_ylim(0, 1.15 * axes.dataLim.y1)
    axes.set_xticks([1, width // 4, width // 2, 3 * width // 4, width])
    axes.set_xlabel("popularity rank of the negative in its row")
    axes.set_title(f"Mean p(j | u, i); dashed: 1/{width}")
    label_ends(axes, ends, gap=0.14)
    return figure
