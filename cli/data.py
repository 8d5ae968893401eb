"""``advnce data``: list, fetch, verify, describe, split and simulate data sets."""

import inspect
import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pyg_advinfonce.errors import counted

from .options import USAGE, SourceRoot, complete_data

if TYPE_CHECKING:
    from pyg_advinfonce.datasets.published import Stock

app = typer.Typer(
    name="data",
    help="Fetch, check, describe, split and simulate data sets.",
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def root(context: typer.Context) -> None:
    """Fetch, check, describe, split and simulate data sets."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(USAGE)


def _reads_table(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a table; it receives those set as ``table``."""

    def options(
        user_col: str | None = typer.Option(None, help="The column of the users."),
        item_col: str | None = typer.Option(None, help="The column of the items."),
        rating_col: str | None = typer.Option(
            None, help="The column that --positive-if calls `rating`."
        ),
        time_col: str | None = typer.Option(None, help="The column of the times."),
        positive_if: str | None = typer.Option(
            None,
            help="The condition of the rows that count as positive, e.g. 'rating >= "
            "4' or 'event == \"buy\"' (default: all).",
        ),
        format: str | None = typer.Option(
            None,
            help="triples (user item rating) or movielens "
            "(user::item::rating::timestamp); lists or triples of a folder of split "
            "files.",
        ),
        columns: str | None = typer.Option(
            None,
            metavar="NAMES",
            help="The columns of a text without a header, e.g. user,item,rating,time.",
        ),
        separator: str | None = typer.Option(
            None,
            help="The separator of a text: a character, ::, tab or space (default: "
            "detected).",
        ),
        encoding: str | None = typer.Option(
            None, help="The encoding of a text, e.g. latin-1 (default: UTF-8)."
        ),
        drop_incomplete: bool = typer.Option(
            False, "--drop-incomplete", help="Drop rows with a missing value."
        ),
        min_user: int = typer.Option(
            1, help="The smallest number of pairs per user; rarer users are removed."
        ),
        min_item: int = typer.Option(
            1, help="The smallest number of pairs per item; rarer items are removed."
        ),
    ) -> None: ...

    own = inspect.signature(command).parameters
    shared = inspect.signature(options).parameters

    @wraps(command)
    def run(**values: Any) -> None:  # noqa: ANN401
        given = {name: values.pop(name) for name in shared}
        unset = {name: shared[name].default.default for name in shared}
        table = {name: v for name, v in given.items() if v != unset[name]}
        command(**values, table=table)

    every: list[inspect.Parameter] = []
    for name, parameter in own.items():
        every += shared.values() if name == "table" else [parameter]
    named = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in every]
    run.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in named}
    return run


@app.command("list")
def list_sets(data_root: Path = SourceRoot) -> None:
    """List the published data sets, their files and licences."""
    from pyg_advinfonce.datasets.published import inventory
    from pyg_advinfonce.progress import wrapped

    for stock in inventory(data_root):
        typer.echo(f"{stock.name:<15}{_stock_text(stock)}")
        typer.echo(" " * 15 + wrapped(str(stock.licence), indent=15))


def _stock_text(stock: "Stock") -> str:
    unsized = f" without {', '.join(stock.unsized)}" if stock.unsized else ""
    files = counted(stock.num_files, "file")
    whole = f"{files}, {stock.num_bytes:,} bytes{unsized}"
    if stock.folder is None:
        return f"not downloaded ({whole})"
    there = f"{len(stock.present)} of {files} in {stock.folder}"
    return f"{there}, {sum(stock.present.values()):,} bytes"


@app.command()
def fetch(
    name: str = typer.Argument(
        help="A data set; see `advnce data list`.", autocompletion=complete_data
    ),
    data_root: Path = SourceRoot,
    accept_terms: str | None = typer.Option(
        None, metavar="NAME", help="The data set's name again: you accept its terms."
    ),
    offline: bool = typer.Option(
        False, "--offline", help="Download nothing; name the missing files."
    ),
    mirror: str | None = typer.Option(
        None,
        metavar="URL",
        help="The address of a copy of the files, <folder>/<file>, e.g. "
        "yahoo.new/train.txt.",
    ),
    insecure: str | None = typer.Option(
        None,
        metavar="HOST",
        help="A host whose certificate is not checked, or that uses plain http.",
    ),
) -> None:
    """Show a data set's terms, download its files and check them."""
    from pyg_advinfonce.datasets.published import fetch
    from pyg_advinfonce.progress import ProgressBar

    folder = fetch(
        name,
        data_root,
        accept_terms=accept_terms,
        offline=offline,
        mirror=mirror,
        insecure=insecure,
        progress=ProgressBar(lines=True),
    )
    typer.echo(folder)


@app.command()
def verify(
    data: str = typer.Argument(
        help="A data set's name, or a folder's path.", autocompletion=complete_data
    ),
    data_root: Path = SourceRoot,
) -> None:
    """Compare a data set's files with the published ones."""
    from pyg_advinfonce.datasets.published import verify

    checks = verify(data, data_root)
    for check in checks:
        typer.echo(f"{check.state:<9}{check.path}: {check.detail}")
    if any(check.state != "ok" for check in checks):
        raise typer.Exit(USAGE)


@app.command()
@_reads_table
def describe(
    data: str = typer.Argument(
        help="A data set's name, or the path of a folder or table.",
        autocompletion=complete_data,
    ),
    data_root: Path = SourceRoot,
    *,
    table: dict[str, Any],
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Count a data set's users, items, pairs, overlaps and degrees."""
    from pyg_advinfonce.datasets import profile

    from ._data import profile_table

    found = profile(data, data_root, **table)
    typer.echo(json.dumps(found) if as_json else profile_table(found))


@app.command()
@_reads_table
def split(
    source: str = typer.Argument(
        help="A table (.csv, .tsv, .jsonl, .parquet, .inter, .dat, .data, .txt; text "
        "also as .gz, .bz2, .xz, .zst), a folder of .parquet files that are one table, "
        "a folder of tables train, valid and test (also RecBole's, x.train.inter), or "
        "coat, yahoo, kuairec, ml-100k, ml-1m or ml-20m with --raw."
    ),
    out: Path = typer.Option(help="The folder of split files to write."),
    raw: Path | None = typer.Option(
        None, help="The owners' files of that data set: a folder or archive."
    ),
    *,
    table: dict[str, Any],
    how: str = typer.Option(
        "random",
        "--split",
        help="random, leave-last, time, temporal-user or popularity-shift.",
    ),
    valid_fraction: float | None = typer.Option(
        None, help="The share of all pairs that becomes valid (default: 0.1)."
    ),
    test_fraction: float | None = typer.Option(
        None,
        help="The share of all pairs that becomes each test (default: 0.1); 0 for no "
        "test.",
    ),
    gammas: str | None = typer.Option(
        None, help="The tests of popularity-shift (default: 200,10,2)."
    ),
    mode: str | None = typer.Option(
        None, help="The mode of popularity-shift, exact or notebook (default: exact)."
    ),
    num_groups: int | None = typer.Option(
        None, help="The item groups of popularity-shift (default: 50)."
    ),
    seed: int | None = typer.Option(None, help="The random seed (default: 0)."),
    overlap: str = typer.Option(
        "keep", help="Pairs that occur in two of the given splits: keep, drop or error."
    ),
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace splits of other options in --out."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Divide a table or raw files into split files."""
    from pyg_advinfonce.datasets import make_split
    from pyg_advinfonce.datasets.splits import SplitOptions, parse_gammas
    from pyg_advinfonce.datasets.tables import TableOptions

    from ._data import split_text

    folder = make_split(
        source,
        out,
        raw=raw,
        table=TableOptions(**table),
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
    typer.echo(json.dumps(folder.as_dict()) if as_json else split_text(folder))


@app.command()
def simulate(
    out: Path = typer.Option(help="The folder of split files to write."),
    size: str = typer.Option("coat", help="coat, yahoo, kuairec or tencent."),
    popularity_bias: float = typer.Option(
        1.0, help="The effect of popularity on the log; 0 for none."
    ),
    seed: int = typer.Option(0, help="The random seed."),
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace splits of other options in --out."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Simulate a data set and write its split files."""
    from pyg_advinfonce.datasets import save_simulated

    from ._data import split_text

    folder = save_simulated(
        out,
        size=size,
        popularity_bias=popularity_bias,
        seed=seed,
        overwrite=overwrite,
    )
    typer.echo(json.dumps(folder.as_dict()) if as_json else split_text(folder))
