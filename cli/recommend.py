"""``advnce recommend``: the best items of users, as a table, CSV, parquet or JSON."""

from pathlib import Path

import typer

from .options import (
    LENGTH,
    CacheDir,
    CustomLoss,
    CustomModel,
    DataRoot,
    Device,
    Threads,
    import_custom,
    use_threads,
)


def recommend(
    run: Path = typer.Argument(
        help="A run's folder, or the folder of one of its seeds if it has several."
    ),
    users: str | None = typer.Option(
        None,
        metavar="ID,ID|all",
        help="Users by the ids of the input, or all users; an id "
        "with a comma is quoted, '\"Eve, Jr.\",Ann'.",
    ),
    items: str | None = typer.Option(
        None, metavar="ID,ID", help="Instead of --users: the items of a new user."
    ),
    like: str | None = typer.Option(
        None, metavar="ID,ID", help="Instead of --users: items, to list similar ones."
    ),
    k: int = typer.Option(LENGTH, "-k", metavar="<int>", help="The list length."),
    seen: str = typer.Option(
        "all",
        metavar="all|train|none",
        help="The items that lists leave out: all that the data knows of the user, "
        "those of train, or none.",
    ),
    include_seen: bool = typer.Option(
        False, "--include-seen", help="The same as --seen none."
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
    from pyg_advinfonce.runs import trained_seed

    trained_seed(run)  # an error comes before torch is imported
    from pyg_advinfonce.errors import ConfigError
    from pyg_advinfonce.graph import SEEN_KINDS
    from pyg_advinfonce.machine import find_device
    from pyg_advinfonce.registry import unknown
    from pyg_advinfonce.runs import load_run

    from ._recommend import ListRequest, print_lists
    from .process import together

    use_threads(threads)
    if seen not in SEEN_KINDS:
        raise unknown("kind of seen items", seen, SEEN_KINDS)
    if include_seen and seen == "train":
        raise ConfigError("--include-seen cannot be combined with --seen train")
    request = ListRequest.of(
        users=users,
        items=items,
        like=like,
        k=k,
        kind=kind,
        out=out,
        spreadsheet_safe=spreadsheet_safe,
    )
    custom = import_custom(model=model, loss=loss)
    place = find_device(device)
    with together(place, columns=False):
        trained = load_run(
            run, root=data_root, cache_dir=cache_dir, device=str(place), **custom
        )
        print_lists(request, trained, seen="none" if include_seen else seen)
