"""``advnce compare``: runs as one table or as JSON."""

from pathlib import Path

import typer


def compare(
    runs: list[Path] = typer.Argument(
        metavar="RUN", help="Folders of runs (all their seeds), the base run first."
    ),
    metrics: list[str] = typer.Option(
        [],
        "--metric",
        metavar="SPLIT/METRIC",
        help="E.g. test/recall@20; may be repeated (default: recall@20 and ndcg@20 "
        "of every test split).",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Compare runs on the same data with the first one."""
    import json

    from pyg_advinfonce.studies import compare_runs

    from ._compare import comparison_text

    summary = compare_runs(runs, metrics)
    typer.echo(json.dumps(summary) if as_json else comparison_text(summary))
