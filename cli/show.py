"""``advnce show``: what a run trained, how, when, and with which result."""

from pathlib import Path

import typer


def show(
    run: Path = typer.Argument(help="A run's folder, finished or not, or one seed."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Show a run: settings, command, date, metrics and files."""
    import json

    from pyg_advinfonce.runs import find_run

    from ._runs import run_json, run_text

    found = find_run(run)
    typer.echo(json.dumps(run_json(found)) if as_json else run_text(found))
