"""Reproduction of tables and figures for ``advnce reproduce``."""

import json
from collections.abc import Sequence
from contextlib import closing

import typer

from pyg_advinfonce.config import Config
from pyg_advinfonce.registry import find_reproduction
from pyg_advinfonce.studies.paper import TEXT_COLUMNS, Report, Request, Watcher
from pyg_advinfonce.training import Callback

from .console import Teller, aligned


def run(request: Request, *, as_json: bool, quiet: bool) -> None:
    """Reproduce, print the report and exit 1 if it is not as it should be."""
    reproduce = find_reproduction(request.name).load()
    with closing(SeedTeller(quiet=quiet)) as teller:
        try:
            report: Report = reproduce(request, teller)
        except KeyboardInterrupt:
            teller.say("finished seeds are kept: the same command goes on from there")
            raise
    typer.echo(json.dumps(report.summary) if as_json else report_text(report))
    if not report.succeeded:
        raise typer.Exit(1)


class SeedTeller(Teller, Watcher):
    """Shows a bar while a seed is trained; to be closed."""

    def start(self, label: str, config: Config) -> Sequence[Callback]:
        return self.show_bar(label, config)

    def finish(self) -> None:
        self.close()


def report_text(report: Report) -> str:
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
