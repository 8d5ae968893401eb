"""``advnce recommend``: the best items of users, as a table, CSV, parquet or JSON."""

from pathlib import Path

import typer

from .options import CacheDir, CustomLoss, CustomModel, DataRoot, Device, Threads


def recommend(
    run: Path = typer.Argument(
        help="A run's folder, or the folder of one of its seeds if it has several."
    ),
    users: str | None = typer.Option(
        None, metavar="ID,ID|all", help="Users by the ids of the input, or all users."
    ),
    items: str | None = typer.Option(
        None, metavar="ID,ID", help="Instead of --users: the items of a new user."
    ),
    k: int = typer.Option(20, "-k", metavar="<int>", help="The list length."),
    exclude_seen: bool = typer.Option(
        True,
        "--exclude-seen/--include-seen",
        help="Whether train items, or the new user's items, are omitted.",
    ),
    kind: str | None = typer.Option(
        None,
        "--format",
        metavar="table|csv|parquet|jsonl",
        help="The format (default: the suffix of --out, else a table).",
    ),
    spreadsheet_safe: bool = typer.Option(
        False,
        "--spreadsheet-safe",
        help="In CSV, put an apostrophe before ids that look like formulas.",
    ),
    out: Path | None = typer.Option(
        None, help="The file to write; an existing one is replaced (default: print)."
    ),
    data_root: Path = DataRoot,
    cache_dir: Path | None = CacheDir,
    device: str = Device,
    threads: int | None = Threads,
    model: str | None = CustomModel,
    loss: str | None = CustomLoss,
) -> None:
    """List the best items of users by a trained run's weights."""
    from pyg_advinfonce.runs import load_run

    from ._recommend import ListRequest, print_lists
    from .options import import_custom, use_threads

    use_threads(threads)
    request = ListRequest.of(
        users=users,
        items=items,
        k=k,
        kind=kind,
        out=out,
        spreadsheet_safe=spreadsheet_safe,
    )
    custom = import_custom(model=model, loss=loss)
    trained = load_run(
        run, root=data_root, cache_dir=cache_dir, device=device, **custom
    )
    print_lists(request, trained, exclude_seen=exclude_seen)
