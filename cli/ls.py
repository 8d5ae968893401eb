"""``advnce ls``: names of models, losses, data sets, metrics, reproductions; runs."""

from collections.abc import Mapping
from pathlib import Path

import typer

from pyg_advinfonce.errors import ConfigError
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
        help="One of models, losses, datasets, metrics, reproductions (default: all), "
        "or runs (and studies).",
    ),
    folder: Path | None = typer.Argument(
        None, help="The folder of the runs (default: runs)."
    ),
) -> None:
    """List models, losses, data sets and so on, or runs and studies."""
    if table == "runs":
        _list_runs(folder or Path("runs"))
        return
    if folder is not None:
        raise ConfigError(f"a folder is for `advnce ls runs` (got {folder})")
    if table is not None and table not in TABLES:
        raise unknown("table", table, [*TABLES, "runs"])
    for title in TABLES if table is None else [table]:
        if table is None:
            typer.echo(f"{title}:")
        width = max(13, *(len(name) + 2 for name in TABLES[title]))
        for name, row in TABLES[title].items():
            text = row if isinstance(row, str) else row.help
            typer.echo(f"  {name:<{width}}{text}")


def _list_runs(root: Path) -> None:
    from pyg_advinfonce.runs import list_runs, list_studies

    from ._runs import runs_text, studies_text

    runs, problems = list_runs(root)
    studies, others = list_studies(root)
    for problem in [*problems, *others]:
        typer.echo(f"advnce: warning: {problem}", err=True)
    if runs:
        typer.echo(runs_text(runs, root))
    if studies:
        typer.echo(studies_text(studies, root))
    if not runs and not studies:
        typer.echo(f"{root} holds no run")
