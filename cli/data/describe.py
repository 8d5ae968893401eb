"""``advnce data describe``: what a data set is like."""

import json
from pathlib import Path

import typer

from .options import DataRoot


def describe(
    data: str = typer.Argument(
        help="A data set's name, or the path of a folder or table."
    ),
    data_root: Path = DataRoot,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Count a data set's users, items, pairs, overlaps and degrees."""
    from pyg_advinfonce.datasets.profile import profile

    from .profile_table import profile_table

    found = profile(data, data_root)
    typer.echo(json.dumps(found) if as_json else profile_table(found))
