"""Figure 4: hardness by popularity, and the strategies."""

from collections.abc import Sequence
from pathlib import Path

from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets.base import Dataset
from pyg_advinfonce.figures import hardness_by_popularity, strategies
from pyg_advinfonce.figures.runs import Device, Say
from pyg_advinfonce.figures.style import styled


@styled
def reproduce(
    dataset: Dataset,
    *,
    seeds: Sequence[int],
    out: Path,
    config: Config | None = None,
    epochs: int | None = None,
    device: Device = "auto",
    say: Say = print,
) -> list[Path]:
    """Make panels a, b and c, each PNG, SVG and CSV; return their paths.

    Args:
        dataset: The data.
        seeds: The seeds.
        out: The folder for the files.
        config: The settings (default: LightGCN with AdvInfoNCE in the data set's own).
        epochs: Train so long (default: as long as each panel needs).
        device: As for :func:`~pyg_advinfonce.experiment.train`.
        say: Told of every training.
    """
    written = []
    for figure in (hardness_by_popularity, strategies):
        written += figure.reproduce(
            dataset,
            seeds=seeds,
            out=out,
            config=config,
            epochs=epochs,
            device=device,
            say=say,
        )
    return written
