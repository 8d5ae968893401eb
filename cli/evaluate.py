"""``advnce evaluate``: rank the held-out splits with a trained run, or given lists."""

from pathlib import Path

import typer

from pyg_advinfonce.errors import ConfigError

from .options import (
    CacheDir,
    CustomLoss,
    CustomModel,
    DataRoot,
    Device,
    Threads,
    import_custom,
    metric_names,
    use_threads,
)

DEFAULT = ["20"]


def evaluate(
    run: Path | None = typer.Argument(
        None, help="A run's folder (all its seeds), or one seed of it."
    ),
    lists: Path | None = typer.Option(
        None,
        help="Instead of a run's weights: a table of ranked lists with the columns "
        "user, item and rank or score, and optionally split.",
    ),
    data: str | None = typer.Option(
        None, help="The data of --lists (default: that of RUN)."
    ),
    data_root: Path = DataRoot,
    cache_dir: Path | None = CacheDir,
    device: str = Device,
    threads: int | None = Threads,
    k: list[str] = typer.Option(
        DEFAULT, "-k", metavar="<int,int>", help="List lengths: 5,10,20."
    ),
    metrics: str | None = typer.Option(
        None,
        metavar="NAME,NAME|all",
        help="The metrics, see `advnce ls metrics` (default: recall, ndcg, hr, "
        "precision, mrr).",
    ),
    split: str | None = typer.Option(
        None, help="The split (default: every held-out split; of --lists the tests)."
    ),
    strict: bool = typer.Option(
        False,
        "--strict",
        help="Also mask test pairs that are in train or valid.",
    ),
    propensity_power: float = typer.Option(
        0.5, help="The power of the train degree in the propensity of snips metrics."
    ),
    propensity_clip: float = typer.Option(
        0.1, help="The lower bound of the propensity; that of the top item is 1."
    ),
    by_group: bool = typer.Option(
        False,
        "--by-group",
        help="Also print recall and exposure by popularity of the item and activity "
        "of the user, in deciles.",
    ),
    groups_out: Path | None = typer.Option(
        None, help="Write the table of --by-group: .csv, .jsonl or .parquet."
    ),
    lists_out: Path | None = typer.Option(
        None, help="Write the ranked lists: .csv, .jsonl or .parquet."
    ),
    model: str | None = CustomModel,
    loss: str | None = CustomLoss,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Rank held-out splits by a run's weights, or measure lists."""
    _check_source(run, lists, data)
    from pyg_advinfonce.machine import find_device

    from .process import together

    names = None if metrics is None else metric_names(metrics)
    from ._evaluate import Request, print_evaluation

    use_threads(threads)
    place = find_device(device)
    request = Request.of(
        run=run,
        lists=lists,
        data=data,
        data_root=data_root,
        cache_dir=cache_dir,
        device=str(place),
        k=k,
        metrics=names,
        split=split,
        strict=strict,
        propensity_power=propensity_power,
        propensity_clip=propensity_clip,
        by_group=by_group,
        groups_out=groups_out,
        lists_out=lists_out,
        custom=import_custom(model=model, loss=loss),
    )
    with together(place, columns=False):
        print_evaluation(request, warns_of_length=k != DEFAULT, as_json=as_json)


def _check_source(run: Path | None, lists: Path | None, data: str | None) -> None:
    """Check what is evaluated, before torch is imported.

    Raises:
        ConfigError: If flags are missing or contradict each other.
        CheckpointError: If the run is not trained.
    """
    if lists is not None:
        if (run is None) == (data is None):
            raise ConfigError("--lists expects their data: --data NAME, or a run")
        return
    if run is None:
        raise ConfigError(
            "expected a run, or --lists FILE with --data (see advnce evaluate --help)"
        )
    if data is not None:
        raise ConfigError("--data is for --lists: a run knows its data")
    from pyg_advinfonce.runs import seed_folders, trained_seed

    for seed in seed_folders(run):
        trained_seed(seed)
