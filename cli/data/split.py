"""``advnce data split``: flags into options, splits into a folder."""

import json
from pathlib import Path

import typer


def split(
    source: str = typer.Argument(
        help="A table (.csv, .tsv, .parquet), a folder of tables train, valid and "
        "test, or coat, yahoo or kuairec with --raw."
    ),
    out: Path = typer.Option(help="The folder of split files to write."),
    raw: Path | None = typer.Option(
        None, help="The owners' files of coat, yahoo or kuairec: a folder or archive."
    ),
    user_col: str | None = typer.Option(None, help="The column of the users."),
    item_col: str | None = typer.Option(None, help="The column of the items."),
    rating_col: str | None = typer.Option(
        None, help="The column that `rating` in --positive-if means."
    ),
    time_col: str | None = typer.Option(None, help="The column of the times."),
    positive_if: str | None = typer.Option(
        None, help="Which rows count, e.g. 'rating >= 4' (default: all)."
    ),
    how: str = typer.Option(
        "random", "--split", help="random, leave-last, time or popularity-shift."
    ),
    valid_fraction: float | None = typer.Option(
        None, help="The share of all pairs that becomes valid (default: 0.1)."
    ),
    test_fraction: float | None = typer.Option(
        None, help="The share of all pairs that becomes each test (default: 0.1)."
    ),
    gammas: str | None = typer.Option(
        None, help="The tests of popularity-shift (default: 200,10,2)."
    ),
    mode: str | None = typer.Option(
        None, help="exact or notebook, of popularity-shift (default: exact)."
    ),
    num_groups: int | None = typer.Option(
        None, help="The groups of items there (default: 50)."
    ),
    seed: int | None = typer.Option(None, help="Decides what is drawn (default: 0)."),
    overlap: str = typer.Option(
        "keep", help="Pairs in two splits that are given: keep, drop or error."
    ),
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace splits by other options in --out."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Divide a table, or raw files, into split files."""
    from pyg_advinfonce.datasets.make_split import make_split
    from pyg_advinfonce.datasets.splits.split_options import SplitOptions, parse_gammas
    from pyg_advinfonce.datasets.tables.columns import TableOptions

    from .split_report import report

    folder = make_split(
        source,
        out,
        raw=raw,
        table=TableOptions(user_col, item_col, rating_col, time_col, positive_if),
        split=SplitOptions(
            how,
            valid_fraction,
            test_fraction,
            None if gammas is None else parse_gammas(gammas),
            mode,
            num_groups,
            seed,
        ),
        overlap=overlap,
        overwrite=overwrite,
    )
    typer.echo(json.dumps(folder.as_dict()) if as_json else report(folder))
