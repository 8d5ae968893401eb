"""``advnce report``: a run or a study as one HTML file."""

from pathlib import Path

import typer

from .options import CacheDir, DataRoot


def report(
    folders: list[Path] = typer.Argument(
        metavar="RUN|STUDY",
        help="The folder of a run, of one seed of it, or of a study of `advnce tune`; "
        "or several runs on the same data, which are compared with the first.",
    ),
    out: Path | None = typer.Option(
        None,
        help="The file (default: report.html in the folder, or beside "
        "the first of several runs).",
    ),
    data_root: Path = DataRoot,
    cache_dir: Path | None = CacheDir,
) -> None:
    """Write one HTML file with metrics, curves, settings and figures."""
    from pyg_advinfonce.runs import STUDY, TRIALS, read_run

    first, *others = folders
    is_study = any((first / name).exists() for name in (STUDY, TRIALS))
    for folder in folders:
        if others or not is_study:
            read_run(folder, partly=True)  # an error comes before torch is imported
    from pyg_advinfonce.studies.report import write_comparison, write_report

    if others:
        typer.echo(write_comparison(folders, out))
        return
    typer.echo(write_report(first, out, root=data_root, cache_dir=cache_dir))
