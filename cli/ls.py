"""``advnce ls``: what there is."""

from enum import StrEnum

import typer

from pyg_advinfonce import registry


class Kind(StrEnum):
    """The tables of names."""

    models = "models"
    losses = "losses"
    datasets = "datasets"
    metrics = "metrics"


def ls(
    kind: Kind | None = typer.Argument(None, help="Which table (default: all)."),
) -> None:
    """List models, losses, datasets and metrics."""
    for table in [kind] if kind else list(Kind):
        if kind is None:
            typer.echo(f"{table.value}:")
        for name, text in _rows(table).items():
            typer.echo(f"  {name:<13}{text}")


def _rows(kind: Kind) -> dict[str, str]:
    if kind is Kind.metrics:
        return dict(registry.METRICS)
    tables = {
        Kind.models: registry.MODELS,
        Kind.losses: registry.LOSSES,
        Kind.datasets: registry.DATASETS,
    }
    return {name: entry.help for name, entry in tables[kind].items()}
