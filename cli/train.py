"""``advnce train``: flags into a configuration, runs into a table or JSON."""

from pathlib import Path

import typer
from pyg_advinfonce.cli.options import CacheDir, DataRoot, Device


def train(
    model: str = typer.Argument(help="A model; see `advnce ls models`."),
    loss: str | None = typer.Option(None, help="A loss; see `advnce ls losses`."),
    data: str = typer.Option("simulated", help="A data set's name, or a folder."),
    data_root: Path = DataRoot,
    cache_dir: Path | None = CacheDir,
    config: Path | None = typer.Option(None, help="A TOML file with settings."),
    assignments: list[str] = typer.Option(
        [], "--set", help="section.key=value, e.g. loss.tau=0.28; may be repeated."
    ),
    epochs: int | None = typer.Option(None, help="The most epochs to run."),
    seed: int | None = typer.Option(None, help="The seed of a single run."),
    seeds: str | None = typer.Option(None, help="Several seeds: 0-4 or 1,3,5."),
    device: str = Device,
    valid_fraction: float | None = typer.Option(
        None, help="Share of train that becomes valid, where a folder has none."
    ),
    out: Path | None = typer.Option(None, help="The run's folder (default: runs/...)."),
    overwrite: bool = typer.Option(False, help="Replace an existing run folder."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
    quiet: bool = typer.Option(False, help="No progress."),
) -> None:
    """Train a model and evaluate its best epoch on every held-out split."""
    from pyg_advinfonce.cli import session

    layers = session.layers(config, assignments, epochs, valid_fraction)
    plan = session.Plan(
        model,
        loss,
        data,
        layers,
        session.parse_seeds(seed, seeds),
        data_root,
        cache_dir,
    )
    session.run(
        plan, device=device, out=out, overwrite=overwrite, as_json=as_json, quiet=quiet
    )
