"""Figure 5: metrics by number of adversarial epochs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import Dataset
from pyg_advinfonce.graph import test_splits
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.studies.paper.figures.style import (
    GREY,
    focus_late,
    label_ends,
    new_figure,
    styled,
)
from pyg_advinfonce.studies.paper.figures.trainings import (
    Device,
    Variation,
    curves,
    default_config,
    last_adversarial,
    mean_and_error,
    num_epochs,
    schedules,
)
from pyg_advinfonce.training import SplitMetrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


NUMBERS = (0, 4, 8, 12, 16, 20, 30)
STAR: dict[str, Any] = {"marker": "*", "markersize": 13, "markeredgecolor": "white"}
PANELS = {"recall": "Recall@20", "ndcg": "NDCG@20"}


def adversary_sweep(
    dataset: Dataset,
    *,
    seeds: Sequence[int],
    epochs: int | None = None,
    numbers: Sequence[int] = NUMBERS,
    config: Config | None = None,
    device: Device = "auto",
    progress: Progress = Progress(),
    runs: Path | None = None,
) -> pd.DataFrame:
    """Train AdvInfoNCE with several numbers of adversarial epochs.

    Args:
        dataset: The data.
        seeds: The seeds.
        epochs: The number of epochs (default: 20 evaluations after the last adversarial
            epoch of all).
        numbers: The numbers of adversarial epochs.
        config: AdvInfoNCE's settings (default: the packaged ones of the data set).
        device: As for :func:`~pyg_advinfonce.experiment.train`.
        progress: Receives every training.
        runs: The folder of cached results; None caches nothing.

    Returns:
        Columns ``adversary_epochs``, ``last_adversarial`` (the last adversarial epoch,
        counted from 0; -1 without one), ``seed``, ``epoch``, ``recall`` and
        ``ndcg`` at 20 on the main test split.
    """
    config = (config or default_config(dataset)).fitted_to(dataset)
    varied = {
        n: config.updated({"loss": {"adversary_epochs": n}}) for n in sorted(numbers)
    }
    turns = dict(zip(varied, schedules(dataset, *varied.values()), strict=True))
    epochs = epochs or max(num_epochs(config, turn) for turn in turns.values())
    split = test_splits(dataset.graph)[0]
    columns = {metric: f"{split}/{metric}@20" for metric in PANELS}
    variations = []
    for number, settings in varied.items():
        last = last_adversarial(turns[number], before=epochs)
        labels = {"adversary_epochs": number, "last_adversarial": last}
        text = f"sweep: {number} adversarial epochs"
        variations.append(Variation(text, settings, labels))
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
def draw_adversary_sweep(table: pd.DataFrame) -> "Figure":
    """Draw recall and NDCG by epoch, with a star at each adversary's last epoch."""
    figure, [panels] = new_figure(8.6, 3.4, columns=len(PANELS))
    numbers = sorted(table["adversary_epochs"].unique())
    colors = _colors(len(numbers))
    for axes, (metric, title) in zip(panels, PANELS.items(), strict=True):
        ends = []
        for number, color in zip(numbers, colors, strict=True):
            rows = table[table["adversary_epochs"] == number]
            means = mean_and_error(rows, ["epoch"], metric).set_index("epoch")["mean"]
            axes.plot(means.index, means, color=color)
            _star(axes, means, int(rows["last_adversarial"].iloc[0]), color)
            ends.append((float(means.iloc[-1]), str(number), color))
        axes.set_xlabel("epoch")
        axes.set_title(f"Test {title}")
        axes.margins(x=0)
        focus_late(axes)
    label_ends(panels[-1], ends)
    panels[0].plot([], [], **STAR, color=GREY, linestyle="", label="adversary's last")
    panels[0].legend(loc="lower right")
    panels[-1].set_title("adversarial epochs", loc="right", fontweight="normal", size=9)
    return figure


def _colors(number: int) -> list[str]:
    """Return colours from light (few epochs) to dark (many)."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    shades = np.linspace(0.82, 0.0, number)
    return [to_hex(color) for color in colormaps["viridis"](shades)]


def _star(axes: "Axes", means: "pd.Series[float]", last: int, color: str) -> None:
    if last >= 0:
        height = float(np.interp(last, means.index, means))
        axes.plot(last, height, **STAR, color=color, zorder=5, clip_on=False)
