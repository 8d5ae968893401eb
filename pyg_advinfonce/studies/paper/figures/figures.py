"""Reproduction of the paper's figures, by name."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets import Dataset
from pyg_advinfonce.errors import ConfigError, DatasetNotFoundError
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.registry import REPRODUCTIONS
from pyg_advinfonce.runs import folder_name, seed_text
from pyg_advinfonce.studies.paper import Reproduction, Request
from pyg_advinfonce.studies.paper.figures.adversary_sweep import (
    adversary_sweep,
    draw_adversary_sweep,
)
from pyg_advinfonce.studies.paper.figures.false_negatives import (
    draw_false_negatives,
    false_negatives,
)
from pyg_advinfonce.studies.paper.figures.hardness_by_popularity import (
    draw_hardness_by_popularity,
    hardness_by_popularity,
)
from pyg_advinfonce.studies.paper.figures.refinement import draw_refinement, refinement
from pyg_advinfonce.studies.paper.figures.strategies import (
    draw_plane,
    draw_strategies,
    strategies,
)
from pyg_advinfonce.studies.paper.figures.style import save, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


class Panel(NamedTuple):
    """One table of a figure and its drawings.

    Attributes:
        make: The function that trains and returns the table.
        drawings: The functions that draw it, by the files' name.
    """

    make: Callable[..., pd.DataFrame]
    drawings: Mapping[str, Callable[[pd.DataFrame], "Drawing"]]

    def write(self, dataset: Dataset, out: Path, **options: object) -> list[Path]:
        """Train, draw and write each drawing as PNG, SVG and CSV; return the paths.

        Args:
            dataset: The data.
            out: The folder for the files.
            **options: The other arguments of ``make``.
        """
        table = self.make(dataset, **options)
        files = [save(draw(table), table, out, n) for n, draw in self.drawings.items()]
        return [file for three in files for file in three]


class Figure(NamedTuple):
    """A figure of the paper.

    Attributes:
        data: The paper's data set.
        panels: The figure's tables.
        is_of_one_seed: Whether it uses only the first seed.
    """

    data: str
    panels: Sequence[Panel]
    is_of_one_seed: bool = False


FIGURES: dict[str, Figure] = {
    "fig4": Figure(
        "kuairec",
        (
            Panel(hardness_by_popularity, {"fig4a": draw_hardness_by_popularity}),
            Panel(strategies, {"fig4b": draw_strategies, "fig4c": draw_plane}),
        ),
    ),
    "fig5": Figure(
        "kuairec", (Panel(adversary_sweep, {"fig5": draw_adversary_sweep}),)
    ),
    "fig6": Figure(
        "tencent", (Panel(false_negatives, {"fig6": draw_false_negatives}),)
    ),
    "fig7": Figure(
        "tencent", (Panel(refinement, {"fig7": draw_refinement}),), is_of_one_seed=True
    ),
}


@styled
def reproduce_figure(request: Request, progress: Progress = Progress()) -> Reproduction:
    """Train the runs of a figure and write it as PNG, SVG and CSV.

    Raises:
        ConfigError: If ``check`` or ``against`` is set, which are for tables.
        DatasetNotFoundError: If the data is missing.
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
    files = []
    for panel in figure.panels:
        files += panel.write(
            dataset,
            request.folder / "figures" / folder_name(data),
            seeds=seeds,
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
            f"{error}; or use other data, e.g. --data simulated"
        ) from error


def _epochs(request: Request) -> int | None:
    """Return the requested number of epochs, if any."""
    asked = [layer.get("train", {}).get("epochs") for layer in request.layers]
    return next((epochs for epochs in reversed(asked) if epochs is not None), None)


def _report(
    request: Request, seeds: Sequence[int], fingerprint: str, files: list[Path]
) -> Reproduction:
    names = dict.fromkeys(path.stem for path in files)
    kinds = {n: [f.suffix[1:] for f in files if f.stem == n] for n in names}
    title = f"{request.name}: {REPRODUCTIONS[request.name].help.split(':')[0]}"
    return Reproduction(
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
