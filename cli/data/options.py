"""Flags that several verbs of ``advnce data`` share."""

from pathlib import Path

import typer

DataRoot: Path = typer.Option(
    Path("data"),
    "--data-root",
    "--root",
    envvar="ADVNCE_DATA",
    help="The folder that holds the data sets.",
)
