"""``advnce reproduce``: a table or figure of the paper."""

from pathlib import Path

import typer

from pyg_advinfonce.registry import find_reproduction

from .options import (
    CacheDir,
    DataRoot,
    Device,
    Threads,
    complete_reproduction,
    use_threads,
)


def reproduce(
    name: str = typer.Argument(
        help="A table or figure, see `advnce ls reproductions`, or one row, e.g. "
        "coat/lightgcn-adv.",
        autocompletion=complete_reproduction,
    ),
    data: str | None = typer.Option(
        None,
        help="One data set, of the table or another: a name or a folder's path "
        "(default: all of the table).",
    ),
    seeds: str = typer.Option("0-4", help="The seeds of every run: 0-4 or 1,3,5."),
    data_root: Path = DataRoot,
    cache_dir: Path | None = CacheDir,
    check: bool = typer.Option(
        False,
        "--check",
        help="Train and write nothing; exit 1 if a run is missing or off the paper.",
    ),
    against: str | None = typer.Option(
        None, help="The baseline row, by its loss or label."
    ),
    assignments: list[str] = typer.Option(
        [],
        "--set",
        metavar="KEY=VALUE",
        help="A setting of every run, e.g. train.patience=10; may be repeated.",
    ),
    epochs: int | None = typer.Option(
        None, help="The maximum number of epochs per run."
    ),
    device: str = Device,
    threads: int | None = Threads,
    out: Path | None = typer.Option(
        None, help="The folder of runs and tables (default: runs/reproduce)."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
    quiet: bool = typer.Option(False, "--quiet", help="Print nothing but the result."),
) -> None:
    """Reproduce a table or figure of the paper."""
    find_reproduction(name)
    from . import _plan

    numbers = _plan.parse_seeds(None, seeds) or []
    layers = _plan.layers(None, assignments, train={"epochs": epochs})
    from pyg_advinfonce.machine import find_device, keep_freed_memory
    from pyg_advinfonce.studies.paper import Request

    from . import _reproduce

    use_threads(threads)
    keep_freed_memory()
    request = Request(
        name,
        numbers,
        find_device(device),
        out=out,
        data=data,
        layers=layers,
        data_root=data_root,
        cache_dir=cache_dir,
        against=against,
        check=check,
    )
    _reproduce.run(request, as_json=as_json, quiet=quiet)
