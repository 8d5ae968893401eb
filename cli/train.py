"""``advnce train``: train a model and evaluate it."""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import typer

from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.registry import check_pair

from .options import (
    CacheDir,
    DataRoot,
    Deterministic,
    Device,
    Threads,
    complete_data,
    complete_loss,
    complete_model,
    find_tracker,
    import_custom,
    metric_names,
    use_threads,
)


def train(
    model: str | None = typer.Argument(
        None,
        help="A model, see `advnce ls models`, or my_module:build for a custom one in "
        "the working directory.",
        autocompletion=complete_model,
    ),
    loss: str | None = typer.Option(
        None,
        help="A loss, see `advnce ls losses`, or my_module:MyLoss (default: the "
        "model's first).",
        autocompletion=complete_loss,
    ),
    data: str | None = typer.Option(
        None,
        help="A data set, see `advnce ls datasets`, or the path of a folder or table "
        "(default: that of --config, else simulated).",
        autocompletion=complete_data,
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
        None, help="The maximum number of epochs, train.epochs."
    ),
    seed: int | None = typer.Option(
        None, help="The seed of a single run, train.seed (default: 0)."
    ),
    seeds: str | None = typer.Option(None, help="Several seeds: 0-4 or 1,3,5."),
    device: str = Device,
    threads: int | None = Threads,
    deterministic: bool = Deterministic,
    valid_fraction: float | None = typer.Option(
        None, help="The share of train that becomes valid, if a folder has no valid."
    ),
    loader: str | None = typer.Option(
        None,
        help="full: propagate over the whole graph; neighbor: over each batch's "
        "neighbour sample, for graphs that do not fit; train.loader.",
    ),
    num_neighbors: str | None = typer.Option(
        None, help="Sampled neighbours per hop, -1 for all: 20,10."
    ),
    metrics: str | None = typer.Option(
        None,
        metavar="NAME,NAME|all",
        help="Further metrics of the final evaluation, see `advnce ls metrics`; "
        "train.metrics.",
    ),
    out: Path | None = typer.Option(None, help="The run's folder (default: runs/...)."),
    overwrite: bool = typer.Option(
        False, "--overwrite", help="Replace an existing run."
    ),
    resume: Path | None = typer.Option(
        None, help="Resume the run in this folder, with its own settings."
    ),
    refit: Path | None = typer.Option(
        None,
        help="Train the run in this folder again on the pairs of all splits, for as "
        "many epochs as validation chose, for serving.",
    ),
    force: bool = typer.Option(
        False,
        "--force",
        help="Let --resume change train.epochs or train.patience.",
    ),
    save_every: int | None = typer.Option(
        None,
        min=1,
        help="Epochs between two writes of the training state (default: after an epoch "
        "if the last write was more than 30 seconds ago).",
    ),
    track: str | None = typer.Option(
        None, help="Also log to a tracker: tensorboard, wandb or mlflow."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
    quiet: bool = typer.Option(False, "--quiet", help="Print nothing but the result."),
) -> None:
    """Train a model and evaluate it on every held-out split."""
    if model is not None:
        check_pair(model, loss)
    from pyg_advinfonce.runs import read_run

    from . import _plan

    tracker = find_tracker(track)
    layers = _plan.layers(
        config,
        assignments,
        train={
            "epochs": epochs,
            "loader": loader,
            "num_neighbors": _hops(num_neighbors),
            "metrics": None if metrics is None else metric_names(metrics),
        },
        data={"valid_fraction": valid_fraction},
    )
    custom = import_custom(model=model, loss=loss)
    chosen: dict[str, object] = {"seed": seed, "seeds": seeds, "preset": preset}
    if resume is not None:
        new: dict[str, object] = {"out": out, "overwrite": overwrite, "refit": refit}
        _refuse(chosen | new, "--resume")
        saved = _plan.Saved.of(resume)
    elif refit is not None:
        _refuse(chosen | {"force": force}, "--refit")
        finished = read_run(refit)
    elif force:
        raise ConfigError("--force has no effect without --resume")
    else:
        plan = _plan.Plan(
            _given(model),
            loss,
            data or _plan.data_name(layers) or "simulated",
            layers,
            _plan.parse_seeds(seed, seeds),
            data_root,
            cache_dir,
            preset,
            custom,
        )
        plan.resolve()  # like the others, finds errors before torch is imported
    from pyg_advinfonce.machine import (
        find_device,
        keep_freed_memory,
        use_deterministic_algorithms,
    )
    from pyg_advinfonce.progress import listener

    from . import _train
    from .process import together

    use_threads(threads)
    keep_freed_memory()
    if deterministic:
        use_deterministic_algorithms()
    place = find_device(device)
    with together(place, columns=True):
        make_loop = partial(
            _train.SeedLoop,
            custom=custom,
            data_root=data_root,
            device=place,
            is_auto=device == "auto",
            save_every=save_every,
            tracker=tracker,
            as_json=as_json,
            progress=listener(not quiet, lines=True),
        )
        given = {"model": model, "loss": loss, "data": data}
        names = {key: name for key, name in given.items() if name is not None}
        again = _train.Again(names, layers, make_loop, data_root, cache_dir)
        if resume is not None:
            _train.resume(resume, saved, again, force=force)
        elif refit is not None:
            _train.refit(refit, finished, again, out=out, overwrite=overwrite)
        else:
            _train.run(plan, make_loop, device=place, out=out, overwrite=overwrite)


def _given(model: str | None) -> str:
    if model is None:
        raise ConfigError(
            "expected a model, or a run with --resume or --refit (see advnce train "
            "--help)"
        )
    return model


def _refuse(options: Mapping[str, object], other: str) -> None:
    for name, value in options.items():
        if value is not None and value is not False and value != "default":
            raise ConfigError(f"--{name} cannot be combined with {other}")


def _hops(text: str | None) -> list[int] | None:
    """Read ``--num-neighbors 20,10``."""
    if text is None:
        return None
    if not re.fullmatch(r"-?\d{1,9}(,-?\d{1,9})*", text):
        raise ConfigError(
            "--num-neighbors expects one number per hop, -1 for all: 20,10 "
            f"(got '{text}')"
        )
    return [int(part) for part in text.split(",")]
