"""Figures 4b and 4c: strategies by epoch and in the (align, uniform) plane."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from pyg_advinfonce.config import Config, Sections
from pyg_advinfonce.datasets import Dataset
from pyg_advinfonce.graph import test_splits
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.studies.paper.figures.style import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    draw_band,
    draw_path,
    label_ends,
    new_figure,
    styled,
)
from pyg_advinfonce.studies.paper.figures.trainings import (
    Device,
    Variation,
    curves,
    default_config,
    mean_and_error,
    num_epochs,
    schedules,
    variant,
)
from pyg_advinfonce.training import SplitMetrics

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Strategy(NamedTuple):
    """A weighting of negatives: its loss, own settings and drawing style."""

    loss: str
    settings: Sections
    label: str
    color: str
    dashes: str


STRATEGIES: Mapping[str, Strategy] = {
    "adv": Strategy("adv", {}, "AdvInfoNCE", ORANGE, "-"),
    "infonce": Strategy("infonce", {}, "InfoNCE, same mass", BLUE, "-"),
    "infonce-1": Strategy(
        "infonce", {"loss": {"negative_weight": 1.0}}, "InfoNCE, K = 1", INK, "--"
    ),
    "rand": Strategy("rand", {}, "InfoNCE-Rand", GREEN, "-."),
    "adv-reverse": Strategy("adv-reverse", {}, "AdvInfoNCE-Reverse", PURPLE, ":"),
}
WARMUP, SMOOTHED = 0.2, 5
PANELS = {"recall": "Recall@20", "ndcg": "NDCG@20"}


def strategies(
    dataset: Dataset,
    *,
    seeds: Sequence[int],
    epochs: int | None = None,
    config: Config | None = None,
    device: Device = "auto",
    progress: Progress = Progress(),
    runs: Path | None = None,
) -> pd.DataFrame:
    """Train every strategy with the same settings; return the metrics by epoch.

    All but InfoNCE with K = 1 give a row's negatives the same total mass.

    Args:
        dataset: The data.
        seeds: The seeds.
        epochs: The number of epochs (default: 20 evaluations after the adversary's
            last epoch).
        config: AdvInfoNCE's settings (default: the packaged ones of the data set).
        device: As for :func:`~pyg_advinfonce.experiment.train`.
        progress: Receives every training.
        runs: The folder of cached results; None caches nothing.

    Returns:
        Columns ``strategy``, ``seed``, ``epoch``, ``recall`` and ``ndcg`` at 20 on the
        main test split, ``align`` and ``uniform`` on the epoch's last batch.
    """
    config = (config or default_config(dataset)).fitted_to(dataset)
    epochs = epochs or num_epochs(config, *schedules(dataset, config))
    split = test_splits(dataset.graph)[0]
    columns = {metric: f"{split}/{metric}@20" for metric in PANELS}
    columns |= {"align": "align", "uniform": "uniform"}
    variations = [
        Variation(
            f"strategies: {strategy.label}",
            variant(config, strategy.loss, strategy.settings),
            {"strategy": name},
        )
        for name, strategy in STRATEGIES.items()
    ]
    return curves(
        variations,
        dataset,
        columns,
        seeds=seeds,
        epochs=epochs,
        device=device,
        callbacks=[SplitMetrics([split])],
        progress=progress,
        runs=runs,
    )


@styled
def draw_strategies(table: pd.DataFrame) -> "Figure":
    """Draw recall and NDCG by epoch, mean and standard error over seeds."""
    figure, [panels] = new_figure(8.6, 3.4, columns=len(PANELS))
    for axes, (metric, title) in zip(panels, PANELS.items(), strict=True):
        for name, strategy in list(STRATEGIES.items())[::-1]:
            rows = mean_and_error(table[table["strategy"] == name], ["epoch"], metric)
            color, dashes = strategy.color, strategy.dashes
            draw_band(axes, rows["epoch"], rows, color, alpha=0.15, linestyle=dashes)
        axes.set_xlabel("epoch")
        axes.set_title(f"Test {title}")
        axes.margins(x=0)
    ends = [_end(table, name, "ndcg") for name in STRATEGIES]
    label_ends(panels[-1], ends, gap=0.07)
    return figure


def _end(table: pd.DataFrame, name: str, value: str) -> tuple[float, str, str]:
    """Return the height of a line's end, its label and its colour."""
    rows = mean_and_error(table[table["strategy"] == name], ["epoch"], value)
    strategy = STRATEGIES[name]
    return float(rows["mean"].iloc[-1]), strategy.label, strategy.color


@styled
def draw_plane(table: pd.DataFrame) -> "Figure":
    """Draw each strategy's mean path in the plane of align and uniform.

    The path starts after the warm-up, a fifth of the epochs. It is smoothed over five
    evaluations, since each is measured on one batch.
    """
    figure, [[axes]] = new_figure(4.8, 3.4)
    table = table[table["epoch"] >= WARMUP * table["epoch"].max()]
    for strategy in STRATEGIES.values():
        axes.plot([], [], color=strategy.color, label=strategy.label)
    for name, strategy in list(STRATEGIES.items())[::-1]:
        rows = table[table["strategy"] == name].groupby("epoch", sort=True)
        means = rows[["align", "uniform"]].mean()
        means = means.rolling(SMOOTHED, min_periods=1).mean()
        draw_path(axes, means["align"], means["uniform"], strategy.color)
    axes.grid(True, axis="both")
    axes.set_xlabel("align loss (lower: positives closer)")
    axes.set_ylabel("uniform loss (lower: more spread out)")
    axes.set_title("Ring: start; arrows: direction of time")
    axes.legend(loc="best")
    return figure
