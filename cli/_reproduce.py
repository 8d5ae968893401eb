"""Reproduction of tables and figures for ``advnce reproduce``."""

import json

import typer

from pyg_advinfonce.registry import find_reproduction
from pyg_advinfonce.studies.paper import TEXT_COLUMNS, Reproduction, Request

from .console import Bar, aligned
from .options import FAILED


def run(request: Request, *, as_json: bool, quiet: bool) -> None:
    """Reproduce, print the report and exit 1 if it is not as it should be."""
    reproduce, bar = find_reproduction(request.name).load(), Bar(quiet=quiet)
    try:
        report: Reproduction = reproduce(request, bar)
    except KeyboardInterrupt:
        bar.say("finished seeds are kept: the same command goes on from there")
        raise
    typer.echo(json.dumps(report.summary) if as_json else reproduction_text(report))
    if not report.succeeded:
        raise typer.Exit(FAILED)


def reproduction_text(report: Reproduction) -> str:
    """Return a report for a terminal."""
    width = max(len(name) for name, _ in report.head)
    left = max(1, sum(name in TEXT_COLUMNS for name in report.cells[0]))
    files = report.summary["files"]
    return "\n".join(
        [
            report.title,
            *(f"{name:<{width}}  {text}" for name, text in report.head),
            "",
            *aligned(report.cells, left=left),
            "",
            *report.notes,
            f"files: {', '.join(files)}" if files else "a check: nothing was written",
        ]
    )
