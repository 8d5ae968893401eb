"""Reproduction of tables and figures for ``advnce reproduce``."""

import json

import typer

from pyg_advinfonce.progress import listener
from pyg_advinfonce.registry import find_reproduction
from pyg_advinfonce.studies.paper import TEXT_COLUMNS, Reproduction, Request

from .console import aligned
from .options import FAILED


def run(request: Request, *, as_json: bool, quiet: bool) -> None:
    """Reproduce, print the result and exit 1 unless it succeeded."""
    reproduce = find_reproduction(request.name).load()
    bar = listener(not quiet, lines=True)
    try:
        reproduction: Reproduction = reproduce(request, bar)
    except KeyboardInterrupt:
        bar.say("finished seeds are kept: run the same command again to continue")
        raise
    text = reproduction_text(reproduction)
    typer.echo(json.dumps(reproduction.summary) if as_json else text)
    if not reproduction.succeeded:
        raise typer.Exit(FAILED)


def reproduction_text(reproduction: Reproduction) -> str:
    """Return the text for a terminal."""
    width = max(len(name) for name, _ in reproduction.head)
    left = max(1, sum(name in TEXT_COLUMNS for name in reproduction.cells[0]))
    files = reproduction.summary["files"]
    return "\n".join(
        [
            reproduction.title,
            *(f"{name:<{width}}  {text}" for name, text in reproduction.head),
            "",
            *aligned(reproduction.cells, left=left),
            "",
            *reproduction.notes,
            f"files: {', '.join(files)}" if files else "check: nothing was written",
        ]
    )
