"""``advnce ls``: names of models, losses, data sets, metrics, reproductions."""

from collections.abc import Mapping

import typer

from pyg_advinfonce.registry import (
    DATASETS,
    LOSSES,
    METRICS,
    MODELS,
    REPRODUCTIONS,
    Entry,
    unknown,
)

TABLES: Mapping[str, Mapping[str, Entry | str]] = {
    "models": MODELS,
    "losses": LOSSES,
    "datasets": DATASETS,
    "metrics": METRICS,
    "reproductions": REPRODUCTIONS,
}


def ls(
    table: str | None = typer.Argument(
        None,
        help="One of models, losses, datasets, metrics, reproductions (default: all).",
    ),
) -> None:
    """List models, losses, datasets, metrics and reproductions."""
    if table is not None and table not in TABLES:
        raise unknown("table", table, TABLES)
    for title in TABLES if table is None else [table]:
        if table is None:
            typer.echo(f"{title}:")
        width = max(13, *(len(name) + 1 for name in TABLES[title]))
        for name, row in TABLES[title].items():
            text = row if isinstance(row, str) else row.help
            typer.echo(f"  {name:<{width}}{text}")
