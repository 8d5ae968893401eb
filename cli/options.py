"""Flags that several verbs share, and the parsers of their values."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pyg_advinfonce.errors import optional_package
from pyg_advinfonce.registry import TRACKERS, unknown

if TYPE_CHECKING:
    from pyg_advinfonce.training import Tracker

FAILED, USAGE = 1, 2
"""Exit codes."""

SourceRoot: Path = typer.Option(
    Path("data"),
    "--data-root",
    "--root",
    envvar="ADVNCE_DATA",
    help="The folder that holds the data sets.",
)


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


def use_threads(threads: int | None) -> None:
    """Set the number of CPU threads of torch; None keeps its default."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)


def find_tracker(name: str | None) -> "Callable[[Path], Tracker] | None":
    """Return what makes a tracker of a seed's folder; None for no name.

    Raises:
        UnknownNameError: If there is no such tracker.
        MissingExtraError: If its package is not installed.
    """
    if name is None:
        return None
    if name not in TRACKERS:
        raise unknown("tracker", name, TRACKERS)
    found: type[Tracker] = TRACKERS[name].load()
    if found.requires:
        optional_package(found.requires)
    return found
