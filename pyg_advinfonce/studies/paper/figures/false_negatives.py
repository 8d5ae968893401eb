"""Figure 6: false negatives that the adversary softens, and NDCG."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import Dataset
from pyg_advinfonce.graph import test_splits
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.studies.paper.figures.style import (
    BLUE,
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
    Variation,
    curves,
    default_config,
    known_likes,
    mean_and_error,
    num_epochs,
    schedules,
    variant,
)
from pyg_advinfonce.training import Callback, FalseNegatives, SplitMetrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


RATES = {
    "false_negatives": "soft_false_negatives",
    "all_negatives": "soft_negatives",
    "excess": "false_negatives_identified",
}
LOSSES = {"adv": ("AdvInfoNCE", ORANGE), "infonce": ("InfoNCE", BLUE)}


def false_negatives(
    dataset: Dataset,
    *,
    seeds: Sequence[int],
    epochs: int | None = None,
    config: Config | None = None,
    device: Device = "auto",
    progress: Progress = Progress(),
    runs: Path | None = None,
) -> pd.DataFrame:
    """Train AdvInfoNCE and InfoNCE of the same mass; measure false negatives.

    A negative with hardness below zero counts as softened, i.e. identified as false.
    More than half of all negatives may be softened, so only the excess of the rate
    among the false ones over the rate among all is evidence.

    Args:
        dataset: The data. Simulated data has known false negatives; elsewhere they are
            the items in the user's test splits.
        seeds: The seeds.
        epochs: The number of epochs (default: 20 evaluations after the adversary's
            last epoch).
        config: AdvInfoNCE's settings (default: the packaged ones of the data set).
        device: As for :func:`~pyg_advinfonce.experiment.train`.
        progress: Receives every training.
        runs: The folder of cached results; None caches nothing.

    Returns:
        Columns ``loss`` (adv, infonce), ``seed``, ``epoch``, ``ndcg`` at 20 on the
        main test split and, for ``adv``, the rates ``false_negatives`` and
        ``all_negatives`` and their difference ``excess``.
    """
    config = (config or default_config(dataset)).fitted_to(dataset)
    epochs = epochs or num_epochs(config, *schedules(dataset, config))
    split = test_splits(dataset.graph)[0]
    columns = {"ndcg": f"{split}/ndcg@20", **RATES}
    variations = [
        Variation(
            f"false negatives: {label}", variant(config, loss, {}), {"loss": loss}
        )
        for loss, (label, _) in LOSSES.items()
    ]
    return curves(
        variations,
        dataset,
        columns,
        seeds=seeds,
        epochs=epochs,
        device=device,
        callbacks=_watch(dataset, split),
        progress=progress,
        runs=runs,
    )


def _watch(dataset: Dataset, split: str) -> list[Callback]:
    """Return callbacks that add metrics and, on real data, false negatives."""
    found: list[Callback] = [SplitMetrics([split])]
    if not hasattr(dataset, "likes"):
        found.append(FalseNegatives(known_likes(dataset)))
    return found


@styled
def draw_false_negatives(table: pd.DataFrame) -> "Figure":
    """Draw the rates, their difference and NDCG by epoch."""
    figure, [[rates, excess, ndcg]] = new_figure(11, 3.3, columns=3)
    adv = table[table["loss"] == "adv"]
    lines = [
        _line(rates, adv, "false_negatives", ORANGE, "false\nnegatives"),
        _line(rates, adv, "all_negatives", GREY, "all\n(chance)"),
    ]
    rates.set_title("Share with hardness below 0")
    _line(excess, adv, "excess", ORANGE, "")
    draw_level(excess, 0)
    excess.set_title("False negatives minus all")
    ends = [
        _line(ndcg, table[table["loss"] == loss], "ndcg", color, label)
        for loss, (label, color) in LOSSES.items()
    ]
    ndcg.set_title("Test NDCG@20")
    for axes in (rates, excess, ndcg):
        axes.set_xlabel("epoch")
        axes.margins(x=0)
    label_ends(rates, lines, gap=0.14)
    label_ends(ndcg, ends, gap=0.07)
    return figure


def _line(
    axes: "Axes", rows: pd.DataFrame, value: str, color: str, label: str
) -> tuple[float, str, str]:
    """Draw mean and standard error; return the label at the line's end."""
    found = mean_and_error(rows, ["epoch"], value)
    draw_band(axes, found["epoch"], found, color, alpha=0.18)
    return float(found["mean"].iloc[-1]), label, color
