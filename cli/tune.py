"""``advnce tune``: search for good settings."""

from pathlib import Path

import typer

from pyg_advinfonce.registry import check_pair

from .options import (
    CacheDir,
    DataRoot,
    Device,
    Threads,
    complete_data,
    complete_loss,
    complete_model,
    import_custom,
    use_threads,
)


def tune(
    model: str = typer.Argument(
        help="A model, see `advnce ls models`, or my_module:build for a custom one.",
        autocompletion=complete_model,
    ),
    loss: str | None = typer.Option(
        None,
        help="A loss, see `advnce ls losses`, or my_module:MyLoss (default: the "
        "model's first).",
        autocompletion=complete_loss,
    ),
    data: str = typer.Option(
        "simulated",
        help="A data set, see `advnce ls datasets`, or the path of a folder or table.",
        autocompletion=complete_data,
    ),
    data_root: Path = DataRoot,
    cache_dir: Path | None = CacheDir,
    trials: int = typer.Option(
        50,
        min=1,
        help="The number of finished trials to stop at, earlier calls included.",
    ),
    timeout: float | None = typer.Option(
        None, min=0.0, help="The time limit in seconds."
    ),
    assignments: list[str] = typer.Option(
        [],
        "--set",
        metavar="KEY=VALUE",
        help="A setting that is not searched, e.g. loss.tau=0.28; may be repeated.",
    ),
    space: Path | None = typer.Option(
        None,
        metavar="FILE",
        help="A TOML file of what is searched, e.g. under [train] lr = [1e-3, 5e-3] "
        "(default: the space of the model and the loss).",
    ),
    epochs: int | None = typer.Option(
        None, help="The maximum number of epochs per trial."
    ),
    seed: int | None = typer.Option(
        None, help="The seed of the search and of every trial (default: 0)."
    ),
    device: str = Device,
    threads: int | None = Threads,
    valid_fraction: float | None = typer.Option(
        None, help="The share of train that becomes valid, if a folder has no valid."
    ),
    out: Path | None = typer.Option(
        None, help="The study's folder, made or continued (default: runs/tune-...)."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
    quiet: bool = typer.Option(False, "--quiet", help="Print nothing but the result."),
) -> None:
    """Search for good settings on the validation split alone."""
    check_pair(model, loss)
    from pyg_advinfonce.config import flatten, read_toml

    from . import _plan

    layers = _plan.layers(
        None,
        assignments,
        train={"epochs": epochs, "seed": seed},
        data={"valid_fraction": valid_fraction},
    )
    custom = import_custom(model=model, loss=loss)
    plan = _plan.Plan(
        model, loss, data, layers, None, data_root, cache_dir, custom=custom
    )
    plan.resolve()  # finds errors before torch is imported
    searched = None if space is None else flatten(read_toml(space), 2)
    from pyg_advinfonce.machine import keep_freed_memory

    from . import _tune

    use_threads(threads)
    keep_freed_memory()
    _tune.run(
        plan,
        space=searched,
        trials=trials,
        timeout=timeout,
        device=device,
        out=out,
        as_json=as_json,
        quiet=quiet,
    )
