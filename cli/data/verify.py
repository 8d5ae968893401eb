"""``advnce data verify``: compare files with the published ones."""

from pathlib import Path

import typer

from .options import DataRoot


def verify(
    data: str = typer.Argument(help="A data set's name, or a folder's path."),
    data_root: Path = DataRoot,
) -> None:
    """Compare a data set's files with the published ones."""
    from pyg_advinfonce.datasets.verify import verify

    checks = verify(data, data_root)
    for check in checks:
        typer.echo(f"{check.state:<9}{check.path}: {check.detail}")
    if any(check.state != "ok" for check in checks):
        raise typer.Exit(2)
