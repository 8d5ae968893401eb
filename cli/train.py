"""``advnce train``: flags into a configuration, runs into a table or JSON."""

from pathlib import Path

import typer

from .options import CacheDir, DataRoot, Device, Threads


def train(
    model: str = typer.Argument(help="A model; see `advnce ls models`."),
    loss: str | None = typer.Option(
        None, help="A loss; see `advnce ls losses` (default: adv)."
    ),
    data: str = typer.Option(
        "simulated",
        help="A data set, see `advnce ls datasets`, or the path of a folder or table.",
    ),
    data_root: Path = DataRoot,
    cache_dir: Path | None = CacheDir,
    config: Path | None = typer.Option(None, help="A TOML file with settings."),
    preset: str = typer.Option(
        "default",
        help="default, repro (as the official code) or faithful (as the papers).",
    ),
    assignments: list[str] = typer.Option(
        [],
        "--set",
        metavar="KEY=VALUE",
        help="A setting, e.g. loss.tau=0.28; may be repeated.",
    ),
    epochs: int | None = typer.Option(
        None, help="The most epochs to run, train.epochs."
    ),
    seed: int | None = typer.Option(
        None, help="The seed of a single run, train.seed (default: 0)."
    ),
    seeds: str | None = typer.Option(None, help="Several seeds: 0-4 or 1,3,5."),
    device: str = Device,
    threads: int | None = Threads,
    valid_fraction: float | None = typer.Option(
        None, help="Share of train that becomes valid, where a folder has none."
    ),
    out: Path | None = typer.Option(None, help="The run's folder (default: runs/...)."),
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace the run that is in --out."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
    quiet: bool = typer.Option(False, "--quiet", help="Print nothing but the result."),
) -> None:
    """Train a model and evaluate it on every held-out split."""
    from . import session
    from .threads import use_threads

    use_threads(threads)
    layers = session.layers(config, assignments, epochs, valid_fraction)
    plan = session.Plan(
        model,
        loss,
        data,
        layers,
        session.parse_seeds(seed, seeds),
        data_root,
        cache_dir,
        preset,
    )
    session.run(
        plan, device=device, out=out, overwrite=overwrite, as_json=as_json, quiet=quiet
    )
