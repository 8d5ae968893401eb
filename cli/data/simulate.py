"""``advnce data simulate``: a simulated data set into a folder of split files."""

import json
from pathlib import Path

import typer


def simulate(
    out: Path = typer.Option(help="The folder of split files to write."),
    size: str = typer.Option("coat", help="coat, yahoo, kuairec or tencent."),
    popularity_bias: float = typer.Option(
        1.0, help="How strongly the log follows popularity; 0: not at all."
    ),
    seed: int = typer.Option(0, help="Decides what is drawn."),
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace splits by other options in --out."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Simulate a data set and write its split files."""
    from pyg_advinfonce.datasets.save_simulated import save_simulated

    from .split_report import report

    folder = save_simulated(
        out,
        size=size,
        popularity_bias=popularity_bias,
        seed=seed,
        overwrite=overwrite,
    )
    typer.echo(json.dumps(folder.as_dict()) if as_json else report(folder))
