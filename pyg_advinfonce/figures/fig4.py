"""Figure 4: hardness by popularity, and the strategies."""

from pathlib import Path
from typing import Unpack

from pyg_advinfonce.datasets.base import Dataset
from pyg_advinfonce.figures import hardness_by_popularity, strategies
from pyg_advinfonce.figures.runs import Options
from pyg_advinfonce.figures.style import styled


@styled
def reproduce(dataset: Dataset, *, out: Path, **options: Unpack[Options]) -> list[Path]:
    """Make panels a, b and c, each PNG, SVG and CSV; return their paths.

    Args:
        dataset: The data.
        out: The folder for the files.
        **options: Seeds and the other arguments that both tables' functions take.
    """
    written = []
    for figure in (hardness_by_popularity, strategies):
        written += figure.reproduce(dataset, out=out, **options)
    return written
