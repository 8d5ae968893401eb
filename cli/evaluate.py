"""``advnce evaluate``: rank the held-out splits with a trained run."""

import json
import warnings
from pathlib import Path
from typing import Any

import typer

from .options import CacheDir, CustomLoss, CustomModel, DataRoot, Device, Threads

DEFAULT = [20]


def evaluate(
    run: Path = typer.Argument(
        help="A run's folder (all its seeds), or one seed of it."
    ),
    data_root: Path = DataRoot,
    cache_dir: Path | None = CacheDir,
    device: str = Device,
    threads: int | None = Threads,
    k: list[int] = typer.Option(
        DEFAULT, "-k", metavar="<int>", help="The list length; may be repeated."
    ),
    strict: bool = typer.Option(
        False,
        "--strict",
        help="Also mask test pairs that are in train or valid.",
    ),
    model: str | None = CustomModel,
    loss: str | None = CustomLoss,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Rank every held-out split by a trained run's weights."""
    from pyg_advinfonce.errors import ConfigError
    from pyg_advinfonce.evaluation import Evaluator
    from pyg_advinfonce.experiment import evaluate as rank_splits
    from pyg_advinfonce.files import without_nan
    from pyg_advinfonce.graph import num_nodes
    from pyg_advinfonce.runs import load_run, mean_and_std, seed_folders

    from .console import fitted, split_rows
    from .options import import_custom, use_threads

    use_threads(threads)
    if min(k) < 1:
        raise ConfigError(f"-k must be positive (got {min(k)})")
    custom = import_custom(model=model, loss=loss)
    found: list[dict[str, Any]] = []
    for folder in seed_folders(run):
        trained = load_run(
            folder, root=data_root, cache_dir=cache_dir, device=device, **custom
        )
        trained.config.check_held_out(folder)
        graph = trained.graph
        if not found and k != DEFAULT and max(k) > num_nodes(graph)[1]:
            warnings.warn(
                f"-k {max(k)} exceeds the number of items, {num_nodes(graph)[1]}",
                stacklevel=2,
            )
        evaluator = Evaluator(graph, k=k, strict=strict)
        found.append(without_nan(rank_splits(trained.method, graph, evaluator)))
    metrics = {name: mean_and_std([seed[name] for seed in found]) for name in found[0]}
    if as_json:
        typer.echo(json.dumps({"run_dir": str(run), "metrics": metrics}))
        return
    typer.echo("\n".join(fitted(split_rows(metrics))))
