"""A figure and the table behind it as files."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pyg_advinfonce.figures.style import styled
from pyg_advinfonce.spreadsheet_text import spreadsheet_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI, NUM_COLORS = 150, 128


@styled
def save(figure: "Figure", table: pd.DataFrame, folder: Path, name: str) -> list[Path]:
    """Write ``name.png``, ``name.svg`` and ``name.csv``; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    png, svg, csv = (folder / f"{name}.{kind}" for kind in ("png", "svg", "csv"))
    _save_png(figure, png)
    figure.savefig(svg, metadata={"Date": None})
    guarded(table).to_csv(csv, index=False, float_format="%.6g", lineterminator="\n")
    return [png, svg, csv]


def _save_png(figure: "Figure", path: Path) -> None:
    """Write a palette's worth of colours: lines need no more, and half the bytes."""
    from PIL import Image

    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    with Image.open(file) as image:
        image.convert("RGB").quantize(NUM_COLORS).save(path, optimize=True)


def guarded(table: pd.DataFrame) -> pd.DataFrame:
    """Put an apostrophe before texts that a spreadsheet would take for formulas."""
    return table.map(lambda x: spreadsheet_text(x) if isinstance(x, str) else x)
