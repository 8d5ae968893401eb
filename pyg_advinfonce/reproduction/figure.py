"""A figure of the paper, drawn anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets.base import Dataset
from pyg_advinfonce.errors import ConfigError, DatasetNotFoundError
from pyg_advinfonce.registry import REPRODUCTIONS
from pyg_advinfonce.reproduction.request import Report, Request, Watcher
from pyg_advinfonce.run_folder import folder_name
from pyg_advinfonce.seed_text import seed_text


@dataclass(frozen=True)
class Figure:
    """A figure of the paper.

    Attributes:
        module: The module of :mod:`pyg_advinfonce.figures` that draws it.
        data: The data set that the paper shows.
        is_of_one_seed: Whether it shows the first seed alone.
    """

    module: str
    data: str
    is_of_one_seed: bool = False


FIGURES: Mapping[str, Figure] = {
    "fig4": Figure("fig4", "kuairec"),
    "fig5": Figure("adversary_sweep", "kuairec"),
    "fig6": Figure("false_negatives", "tencent"),
    "fig7": Figure("refinement", "tencent", is_of_one_seed=True),
}


def reproduce_figure(request: Request, watcher: Watcher) -> Report:
    """Train what a figure shows and write it as PNG, SVG and CSV.

    Raises:
        ConfigError: If a check or a comparison is asked for: a figure has none.
        DatasetNotFoundError: If the data is not there.
        MissingExtraError: If matplotlib is not installed.
    """
    for flag, given in (("--check", request.check), ("--against", request.against)):
        if given:
            raise ConfigError(f"{flag} is for tables: {request.name} is a figure")
    figure = FIGURES[request.name]
    data = request.data or figure.data
    config = Config.resolve("lightgcn", "adv", data, layers=list(request.layers))
    dataset = _load(config, request)
    request.make_folders()
    seeds = request.seeds[:1] if figure.is_of_one_seed else request.seeds
    module = import_module(f"pyg_advinfonce.figures.{figure.module}")
    files: list[Path] = module.reproduce(
        dataset,
        seeds=seeds,
        out=request.folder / "figures" / folder_name(data),
        config=config,
        epochs=_epochs(request),
        device=request.device,
        say=watcher.say,
        runs=request.runs / "figures",
    )
    return _report(request, seeds, dataset.fingerprint, files)


def _load(config: Config, request: Request) -> Dataset:
    try:
        return request.load(config)
    except DatasetNotFoundError as error:
        raise DatasetNotFoundError(
            f"{error}; or draw it on other data, e.g. --data simulated"
        ) from error


def _epochs(request: Request) -> int | None:
    """Return the number of epochs that was asked for, if any was."""
    asked = [layer.get("train", {}).get("epochs") for layer in request.layers]
    return next((epochs for epochs in reversed(asked) if epochs is not None), None)


def _report(
    request: Request, seeds: Sequence[int], fingerprint: str, files: list[Path]
) -> Report:
    names = dict.fromkeys(path.stem for path in files)
    kinds = {n: [f.suffix[1:] for f in files if f.stem == n] for n in names}
    title = f"{request.name}: {REPRODUCTIONS[request.name].help.split(':')[0]}"
    return Report(
        title,
        [("data", fingerprint), ("seeds", seed_text(seeds))],
        [["panel", "files"], *([name, " ".join(kinds[name])] for name in names)],
        [],
        {
            "name": request.name,
            "data": [fingerprint],
            "seeds": list(seeds),
            "files": [str(path) for path in files],
        },
    )
