"""``advnce report``: a run or a study as one HTML file."""

from pathlib import Path

import typer

from .options import CacheDir, DataRoot


def report(
    folder: Path = typer.Argument(
        metavar="RUN|STUDY",
        help="The folder of a run, of one seed of it, or of a study of `advnce tune`.",
    ),
    out: Path | None = typer.Option(
        None, help="The file (default: report.html in the folder)."
    ),
    data_root: Path = DataRoot,
    cache_dir: Path | None = CacheDir,
) -> None:
    """Write one HTML file with metrics, curves, settings and figures."""
    from pyg_advinfonce.runs import STUDY, TRIALS, read_run

    if not any((folder / name).exists() for name in (STUDY, TRIALS)):
        read_run(folder, partly=True)  # an error comes before torch is imported
    from pyg_advinfonce.studies.report import write_report

    typer.echo(write_report(folder, out, root=data_root, cache_dir=cache_dir))
