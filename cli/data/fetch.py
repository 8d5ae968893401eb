"""``advnce data fetch``: download a published data set."""

from contextlib import closing
from pathlib import Path

import typer

from .options import DataRoot


def fetch(
    name: str = typer.Argument(help="A data set; see `advnce data list`."),
    data_root: Path = DataRoot,
    accept_terms: str | None = typer.Option(
        None, metavar="NAME", help="The data set's name again: you accept its terms."
    ),
    offline: bool = typer.Option(
        False, "--offline", help="Download nothing, say what is missing."
    ),
    mirror: str | None = typer.Option(
        None,
        metavar="URL",
        help="Where the files lie as <folder>/<file>, e.g. yahoo.new/train.txt.",
    ),
    insecure: str | None = typer.Option(
        None,
        metavar="HOST",
        help="The one host whose certificate is not checked, or that has none.",
    ),
) -> None:
    """Show a data set's terms, download its files and check them."""
    from pyg_advinfonce.datasets.fetch import fetch

    from .download_bar import DownloadBar

    with closing(DownloadBar()) as bar:
        folder = fetch(
            name,
            data_root,
            accept_terms=accept_terms,
            offline=offline,
            mirror=mirror,
            insecure=insecure,
            watcher=bar,
        )
    typer.echo(folder)
