"""Flags that several verbs share."""

from pathlib import Path

import typer

DataRoot: Path = typer.Option(
    Path("data"), envvar="ADVNCE_DATA", help="The folder that holds the data sets."
)
CacheDir: Path | None = typer.Option(
    None, help="Where processed data is kept (default: the user's cache folder)."
)
Device: str = typer.Option("auto", help="auto, cpu, cuda or cuda:N.")
