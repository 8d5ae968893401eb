"""The paper's figures as far as one run has what they need."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pyg_advinfonce.errors import AdvInfoNCEError
from pyg_advinfonce.figures import hardness_by_popularity as popularity
from pyg_advinfonce.figures.arrows import draw_path
from pyg_advinfonce.figures.style import ORANGE, new_figure, styled
from pyg_advinfonce.load_trained import load_run
from pyg_advinfonce.report.curves import Chart
from pyg_advinfonce.report.read import Seed
from pyg_advinfonce.report.svg import inline_svg
from pyg_advinfonce.training.batch_hardness import batch_hardness
from pyg_advinfonce.training.hardness_profile import profile
from pyg_advinfonce.training.sampler import EdgeSampler
from pyg_advinfonce.training.trainer import seed_everything

PLANE = {"align", "uniform"}


def run_figures(
    seeds: Sequence[Seed], *, root: Path, cache_dir: Path | None
) -> tuple[list[Chart], str]:
    """Draw what can be drawn; say why figure 4a cannot, if it cannot.

    Args:
        seeds: The run's seeds.
        root: Where the data sets lie; figure 4a needs the run's.
        cache_dir: Where processed data is kept.
    """
    found, missing = [], ""
    if all(set(seed.history.columns) >= PLANE for seed in seeds):
        found.append(_plane(seeds))
    if "kl_p_uniform" in seeds[0].history:
        try:
            found.insert(0, _popularity(seeds, root, cache_dir))
        except AdvInfoNCEError as error:
            missing = f"Hardness by popularity needs the run's data: {error}"
    return found, missing


@styled
def _plane(seeds: Sequence[Seed]) -> Chart:
    """Draw the mean way through the plane of align and uniform (figure 4c)."""
    figure, [[axes]] = new_figure(4.8, 3.2)
    every = pd.concat(seed.history[["epoch", *PLANE]] for seed in seeds).dropna()
    means = every.groupby("epoch").mean().rolling(5, min_periods=1).mean()
    draw_path(axes, means["align"], means["uniform"], ORANGE)
    axes.grid(True, axis="both")
    axes.set_xlabel("align loss")
    axes.set_ylabel("uniform loss")
    note = "Ring: start. Mean over seeds, smoothed over five evaluations. Figure 4c."
    title = "Align and uniform"
    return Chart(title, note, inline_svg(figure, "plane", title))


def _popularity(seeds: Sequence[Seed], root: Path, cache_dir: Path | None) -> Chart:
    """Draw what the trained adversaries think of popular items (figure 4a)."""
    tables = [_profile(seed, root, cache_dir) for seed in seeds]
    figure = popularity.draw(pd.concat(tables, ignore_index=True))
    title, note = "Hardness by popularity", "With the saved weights. Figure 4a."
    return Chart(title, note, inline_svg(figure, "popularity", title))


def _profile(seed: Seed, root: Path, cache_dir: Path | None) -> pd.DataFrame:
    config, method, graph = load_run(
        seed.folder, root=root, cache_dir=cache_dir, device="cpu"
    )
    number = config.train.seed
    seed_everything(number, 0, 0, stream=3)
    size, negatives = config.train.batch_size, config.train.num_negatives
    _, batch = next(iter(EdgeSampler(graph, batch_size=size, num_negatives=negatives)))
    delta = batch_hardness(method, method.encode(graph), batch)
    return popularity.rows_of(profile(delta, batch, graph), "best", number)
