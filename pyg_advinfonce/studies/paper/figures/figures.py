"""The figures of the paper by name, and how one is reproduced."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import Dataset
from pyg_advinfonce.errors import ConfigError, DatasetNotFoundError
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.registry import REPRODUCTIONS
from pyg_advinfonce.runs import folder_name, seed_text
from pyg_advinfonce.studies.paper import Report, Request
from pyg_advinfonce.studies.paper.figures.adversary_sweep import (
    reproduce_adversary_sweep,
)
from pyg_advinfonce.studies.paper.figures.false_negatives import (
    reproduce_false_negatives,
)
from pyg_advinfonce.studies.paper.figures.hardness_by_popularity import (
    reproduce_hardness_by_popularity,
)
from pyg_advinfonce.studies.paper.figures.refinement import reproduce_refinement
from pyg_advinfonce.studies.paper.figures.strategies import reproduce_strategies
from pyg_advinfonce.studies.paper.figures.style import styled
from pyg_advinfonce.studies.paper.figures.trainings import Options


@styled
def reproduce_fig4(
    dataset: Dataset, *, out: Path, **options: Unpack[Options]
) -> list[Path]:
    """Make panels a, b and c, each PNG, SVG and CSV; return their paths.

    Args:
        dataset: The data.
        out: The folder for the files.
        **options: Seeds and the other arguments that both tables' functions take.
    """
    written = []
    for panel in (reproduce_hardness_by_popularity, reproduce_strategies):
        written += panel(dataset, out=out, **options)
    return written


@dataclass(frozen=True)
class Figure:
    """A figure of the paper.

    Attributes:
        reproduce: Trains what it shows and writes it.
        data: The data set that the paper shows.
        is_of_one_seed: Whether it shows the first seed alone.
    """

    reproduce: Callable[..., list[Path]]
    data: str
    is_of_one_seed: bool = False


FIGURES: Mapping[str, Figure] = {
    "fig4": Figure(reproduce_fig4, "kuairec"),
    "fig5": Figure(reproduce_adversary_sweep, "kuairec"),
    "fig6": Figure(reproduce_false_negatives, "tencent"),
    "fig7": Figure(reproduce_refinement, "tencent", is_of_one_seed=True),
}


def reproduce_figure(request: Request, progress: Progress = Progress()) -> Report:
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
    files = figure.reproduce(
        dataset,
        seeds=seeds,
        out=request.folder / "figures" / folder_name(data),
        config=config,
        epochs=_epochs(request),
        device=request.device,
        progress=progress,
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
