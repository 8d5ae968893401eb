"""A figure and the table behind it as files."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pyg_advinfonce.figures.style import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@styled
def save(figure: "Figure", table: pd.DataFrame, folder: Path, name: str) -> list[Path]:
    """Write ``name.png``, ``name.svg`` and ``name.csv``; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    png, svg, csv = (folder / f"{name}.{kind}" for kind in ("png", "svg", "csv"))
    figure.savefig(png, dpi=DPI)
    figure.savefig(svg, metadata={"Date": None})
    guarded(table).to_csv(csv, index=False, float_format="%.6g", lineterminator="\n")
    return [png, svg, csv]


def guarded(table: pd.DataFrame) -> pd.DataFrame:
    """Put a quote before texts that a spreadsheet would take for formulas."""
    return table.map(lambda cell: _guarded(cell) if isinstance(cell, str) else cell)


def _guarded(text: str) -> str:
    return f"'{text}".replace("\r", " ") if text.startswith(FORMULA) else text
