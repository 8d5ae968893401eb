"""Figure 6: how many false negatives the adversary softens, and what it is worth."""

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
    """Train AdvInfoNCE, and InfoNCE of the same mass, and watch the false negatives.

    A negative is softened, or identified as false, if its hardness is below zero. More
    than half of all negatives may be, so only the excess of the rate among the false
    ones over the rate among all is evidence.

    Args:
        dataset: The data; if simulated the truth is known, else the items of a user's
            test splits are its false negatives.
        seeds: The seeds.
        epochs: Train so long (default: 20 evaluations beyond the adversary's last).
        config: AdvInfoNCE's settings (default: those that come with the data).
        device: As for :func:`~pyg_advinfonce.experiment.train`.
        progress: Told of every training.
        runs: Where what finished seeds gave is kept and found again, if anywhere.

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
    """Return what is recorded besides what training records where it can."""
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
    """Draw mean and standard error; return what names the line at its end."""
    found = mean_and_error(rows, ["epoch"], value)
    draw_band(axes, found["epoch"], found, color, alpha=0.18)
    return float(found["mean"].iloc[-1]), label, color
