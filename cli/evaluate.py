"""``advnce evaluate``: rank the held-out splits with a trained run."""

import json
from pathlib import Path

import typer

from .options import CacheDir, DataRoot, Device


def evaluate(
    run: Path = typer.Argument(help="A run's folder, or one seed of it."),
    data_root: Path = DataRoot,
    cache_dir: Path | None = CacheDir,
    device: str = Device,
    k: list[int] = typer.Option(
        [20], "-k", metavar="<int>", help="Length of the list; may be repeated."
    ),
    strict: bool = typer.Option(
        False,
        "--strict",
        help="Also mask pairs that are in train or valid and in the test split.",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Rank every held-out split by a trained run's weights."""
    from pyg_advinfonce import experiment
    from pyg_advinfonce.errors import ConfigError
    from pyg_advinfonce.training.evaluator import Evaluator

    if min(k) < 1:
        raise ConfigError(f"-k must be positive (got {min(k)})")
    _, method, graph = experiment.load_run(
        run, root=data_root, cache_dir=cache_dir, device=device
    )
    evaluator = Evaluator(graph, k=k, strict=strict)
    metrics = experiment.evaluate(method, graph, evaluator)
    if as_json:
        found = {"run_dir": str(run), "metrics": experiment.finite(metrics)}
        typer.echo(json.dumps(found))
        return
    for name, value in metrics.items():
        typer.echo(f"{name:<28}{value:.4f}")
