"""Flags that several verbs share."""

from pathlib import Path

import typer

DataRoot: Path = typer.Option(
    Path("data"), envvar="ADVNCE_DATA", help="The folder that holds the data sets."
)
CacheDir: Path | None = typer.Option(
    None, help="Where processed data is kept (default: the user's cache folder)."
)
Threads: int | None = typer.Option(
    None,
    min=1,
    help="CPU threads (default: a thread a core); 1 is best for small data on a busy "
    "machine.",
)
Deterministic: bool = typer.Option(
    False,
    "--deterministic",
    help="The same bits from the same seed on CUDA, too; slower there.",
)
Device: str = typer.Option("auto", help="auto, cpu, cuda or cuda:N.")
