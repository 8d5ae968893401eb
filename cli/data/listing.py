"""``advnce data list``: which published data sets there are."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .options import DataRoot

if TYPE_CHECKING:
    from pyg_advinfonce.datasets.inventory import Stock


def list_sets(data_root: Path = DataRoot) -> None:
    """List the published data sets, their files and their terms."""
    from pyg_advinfonce.datasets.inventory import inventory

    for stock in inventory(data_root):
        typer.echo(f"{stock.name:<9}{_where(stock)}")
        typer.echo(f"{'':<9}{stock.terms}")


def _where(stock: "Stock") -> str:
    unsized = f" without {', '.join(stock.unsized)}" if stock.unsized else ""
    whole = f"{stock.num_files} files, {stock.num_bytes:,} bytes{unsized}"
    if stock.folder is None:
        return f"not there ({whole})"
    there = f"{len(stock.present)} of {stock.num_files} files in {stock.folder}"
    return f"{there}, {sum(stock.present.values()):,} bytes"
