"""Charts of a report as inline SVG: training curves and figures of a run."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
from markupsafe import Markup, escape

from pyg_advinfonce.errors import AdvInfoNCEError, explaining_memory
from pyg_advinfonce.evaluation import Evaluator
from pyg_advinfonce.graph import split_names, test_splits
from pyg_advinfonce.loader import EdgeSampler
from pyg_advinfonce.runs import FinishedSeed, load_run
from pyg_advinfonce.studies.paper.figures import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RULE,
    draw_hardness_by_popularity,
    draw_level,
    draw_path,
    new_figure,
    probability_by_popularity,
    probability_table,
    styled,
)
from pyg_advinfonce.training import batch_hardness, seed_everything

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The page's style sheet redefines these colours for dark screens.
VARIABLES = {
    INK: "var(--ink)",
    RULE: "var(--rule)",
    GREY: "var(--grey)",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    GREEN: "var(--green)",
    PURPLE: "var(--purple)",
}


@styled
def inline_svg(figure: "Figure", name: str, title: str) -> Markup:
    """Return a figure as an ``svg`` element without a background.

    Args:
        figure: The figure.
        name: The prefix of the element's ids, unique in the page.
        title: The description for screen readers.
    """
    from matplotlib import rcParams

    rcParams["svg.fonttype"] = "none"  # the page's own font
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    head, _, body = file.getvalue().partition("<svg")[2].partition(">")
    return Markup(_opening(head, title) + _embedded(body, name))


def _embedded(text: str, name: str) -> str:
    """Return the element's content with unique ids and the page's colours."""
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r' (id="|xlink:href="#)', rf" \g<1>{name}-", text)
    text = text.replace("url(#", f"url(#{name}-")
    for color, variable in VARIABLES.items():
        text = text.replace(color, variable)
    return text


def _opening(head: str, title: str) -> str:
    """Return the element's opening tag without a fixed size."""
    [box] = re.findall(r'viewBox="[\d. -]+"', head)
    names = 'xmlns="http://www.w3.org/2000/svg"'
    links = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {names} {links} {box} role="img" aria-label="{escape(title)}">'


COLORS = (BLUE, ORANGE, GREEN, PURPLE)
DASHES = ("solid", "dashed", "dashdot", "dotted")


class Curve(NamedTuple):
    """A panel of training curves.

    Attributes:
        title: The panel's title.
        lines: Columns of the history, by their label.
        note: A sentence below the title.
        band: Whether the two lines are the ends of a range.
        best: Whether the best epoch is marked.
    """

    title: str
    lines: dict[str, str]
    note: str
    band: bool = False
    best: bool = False


class Chart(NamedTuple):
    """A drawn panel with its title and note."""

    title: str
    note: str
    svg: Markup


TRAINING = (
    Curve(
        "Training loss",
        {"ranking loss": "main/rec"},
        "Mean per epoch, the L2 penalty excluded.",
    ),
    Curve(
        "Validation Recall@20",
        {"recall@20": "valid/recall@20"},
        "Selects the epoch, marked by a dot.",
        best=True,
    ),
    Curve(
        "Validation NDCG@20",
        {"ndcg@20": "valid/ndcg@20"},
        "At the same epoch, marked by a dot.",
        best=True,
    ),
)
HARDNESS = (
    Curve(
        "Distance from uniform",
        {"KL(P0 ‖ P)": "kl_uniform_p", "KL(P ‖ P0)": "kl_p_uniform"},
        "Divergence of the adversary's hardness from uniform.",
    ),
    Curve(
        "Range of hardness δ",
        {"largest": "delta_max", "smallest": "delta_min"},
        "Over the last batch; zero is neutral.",
        band=True,
    ),
    Curve(
        "Negatives with δ below 0",
        {"false negatives": "soft_false_negatives", "all": "soft_negatives"},
        "The share among all negatives is the chance level.",
    ),
    Curve(
        "False negatives identified",
        {"false minus all": "false_negatives_identified"},
        "Above zero: the adversary softens false negatives more than others.",
    ),
)
GEOMETRY = (
    Curve(
        "Align loss",
        {"align": "align"},
        "Mean squared distance of positive pairs; lower is closer.",
    ),
    Curve(
        "Uniform loss",
        {"uniform": "uniform"},
        "Users plus positives; lower is more uniform.",
    ),
)


def charts(curves: Sequence[Curve], seeds: Sequence[FinishedSeed]) -> Iterator[Chart]:
    """Draw the panels for which the histories have values."""
    for curve in curves:
        if any(_has(seed, column) for seed in seeds for column in curve.lines.values()):
            name = curve.title.lower().replace(" ", "-").replace("δ", "delta")
            svg = inline_svg(draw_curve(curve, seeds), name, curve.title)
            yield Chart(curve.title, curve.note, svg)


def _has(seed: FinishedSeed, column: str) -> bool:
    return column in seed.history and bool(seed.history[column].notna().any())


@styled
def draw_curve(curve: Curve, seeds: Sequence[FinishedSeed]) -> "Figure":
    """Draw a panel with one line per seed."""
    figure, [[axes]] = new_figure(3.9, 2.3)
    looks = zip(COLORS, DASHES, strict=True)  # lines may coincide
    for (label, column), (color, dash) in zip(curve.lines.items(), looks, strict=False):
        for number, seed in enumerate(s for s in seeds if _has(s, column)):
            known = seed.history.dropna(subset=column)
            alpha = 1.0 if len(seeds) == 1 else 0.65
            axes.plot(
                known["epoch"],
                known[column],
                color=color,
                alpha=alpha,
                linestyle=dash,
                linewidth=1.6,
                label=label if number == 0 else None,
            )
            if curve.best:
                _mark_best(axes, seed, column, color)
    if curve.band:
        _fill(axes, curve, seeds)
    if curve.lines.keys() & {"false minus all", "largest"}:
        draw_level(axes, 0)
    if len(curve.lines) > 1:
        axes.legend(loc="best")
    axes.set_xlabel("epoch")
    axes.locator_params(axis="x", integer=True)
    axes.margins(x=0.01)
    return figure


def run_curves(runs: Mapping[str, Sequence[FinishedSeed]]) -> Iterator[Chart]:
    """Draw the training curves of several runs, by name, in one panel each."""
    for curve in TRAINING:
        [column] = curve.lines.values()
        if any(_has(seed, column) for seeds in runs.values() for seed in seeds):
            name = curve.title.lower().replace(" ", "-")
            svg = inline_svg(_draw_runs(curve, column, runs), name, curve.title)
            yield Chart(curve.title, "One line per seed.", svg)


@styled
def _draw_runs(
    curve: Curve, column: str, runs: Mapping[str, Sequence[FinishedSeed]]
) -> "Figure":
    figure, [[axes]] = new_figure(3.9, 2.3)
    for number, (name, seeds) in enumerate(runs.items()):
        color = COLORS[number % len(COLORS)]
        dash = DASHES[number // len(COLORS) % len(DASHES)]
        label: str | None = name.replace("$", r"\$").lstrip("_")
        for seed in (seed for seed in seeds if _has(seed, column)):
            known = seed.history.dropna(subset=column)
            look = {"color": color, "linestyle": dash, "linewidth": 1.3, "alpha": 0.8}
            axes.plot(known["epoch"], known[column], label=label, **look)
            label = None
            if curve.best:
                _mark_best(axes, seed, column, color)
    axes.legend(loc="best")
    axes.set_xlabel("epoch")
    axes.locator_params(axis="x", integer=True)
    axes.margins(x=0.01)
    return figure


def _mark_best(axes: "Axes", seed: FinishedSeed, column: str, color: str) -> None:
    best = seed.history[seed.history["epoch"] == seed.outcome.best_epoch]
    axes.plot(best["epoch"], best[column], marker="o", markersize=6, color=color)


def _fill(axes: "Axes", curve: Curve, seeds: Sequence[FinishedSeed]) -> None:
    columns = list(curve.lines.values())
    for seed in seeds:
        if all(_has(seed, column) for column in columns):
            known = seed.history.dropna(subset=columns)
            high, low = (known[column] for column in columns)
            axes.fill_between(known["epoch"], low, high, color=GREY, alpha=0.12, lw=0)


PLANE = {"align", "uniform"}


def run_figures(
    seeds: Sequence[FinishedSeed], *, root: Path | None, cache_dir: Path | None
) -> tuple[list[Chart], str]:
    """Return the charts of figures 4c and 4a, and why figure 4a is missing, if it is.

    Args:
        seeds: The run's seeds.
        root: The folder of the data sets; figure 4a needs the run's data.
        cache_dir: The folder of processed data.
    """
    found, missing = [], ""
    if all(set(seed.history.columns) >= PLANE for seed in seeds):
        found.append(_plane(seeds))
    if "kl_p_uniform" in seeds[0].history and any(s.config.custom for s in seeds):
        missing = "Hardness by popularity: custom code is not imported for a report"
    elif "kl_p_uniform" in seeds[0].history:
        try:
            found.insert(0, _popularity(seeds, root, cache_dir))
        except AdvInfoNCEError as error:
            missing = f"Hardness by popularity needs the run's data: {error}"
    return found, missing


@styled
def _plane(seeds: Sequence[FinishedSeed]) -> Chart:
    """Draw the mean path in the plane of align and uniform (figure 4c)."""
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


def _popularity(
    seeds: Sequence[FinishedSeed], root: Path | None, cache_dir: Path | None
) -> Chart:
    """Draw the trained adversaries' hardness by popularity (figure 4a)."""
    tables = [_probabilities(seed, root, cache_dir) for seed in seeds]
    figure = draw_hardness_by_popularity(pd.concat(tables, ignore_index=True))
    title, note = "Hardness by popularity", "With the saved weights. Figure 4a."
    return Chart(title, note, inline_svg(figure, "popularity", title))


def _probabilities(
    seed: FinishedSeed, root: Path | None, cache_dir: Path | None
) -> pd.DataFrame:
    run = load_run(seed.folder, root=root, cache_dir=cache_dir, device="cpu")
    config, method, graph = run.config, run.method, run.graph
    number = config.train.seed
    seed_everything(number, 0, 0, stream=3)
    size, negatives = config.train.batch_size, config.train.num_negatives
    if negatives == "all":  # the chart's rows have one number of negatives
        negatives = 64
    sampler = EdgeSampler(graph, batch_size=size, num_negatives=negatives)
    with explaining_memory(f"with train.num_negatives {negatives}"):
        _, batch = next(iter(sampler))
        delta = batch_hardness(method, method.encode(graph), batch)
    return probability_table(
        probability_by_popularity(delta, batch, graph), "best", number
    )


class GroupPanel(NamedTuple):
    """A panel over the deciles of items or users.

    Attributes:
        title: The panel's title.
        group: ``item`` or ``user``.
        lines: Columns of the table by group, by their label.
        note: A sentence below the title.
    """

    title: str
    group: str
    lines: dict[str, str]
    note: str


BY_GROUP = (
    GroupPanel(
        "Exposure by popularity of the item",
        "item",
        {"listed": "share", "held out": "wanted"},
        "Share of the lists and of the held-out pairs; 10 has the most train pairs.",
    ),
    GroupPanel(
        "Recall by popularity of the item",
        "item",
        {"recall": "recall"},
        "Hits per held-out pair of the items.",
    ),
    GroupPanel(
        "Recall by activity of the user",
        "user",
        {"recall": "recall"},
        "Mean over users; 10 has the most train pairs.",
    ),
)


def group_figures(
    seeds: Sequence[FinishedSeed], *, root: Path | None, cache_dir: Path | None
) -> tuple[list[Chart], str]:
    """Return the charts by decile of items and users, and why they are missing.

    Args:
        seeds: The run's seeds.
        root: The folder of the data sets; the charts need the run's data.
        cache_dir: The folder of processed data.
    """
    try:
        tables = [_groups(seed, root, cache_dir) for seed in seeds]
    except AdvInfoNCEError as error:
        return [], f"Recall and exposure by group need the run's data: {error}"
    every = pd.concat(tables)
    split = every["split"].iloc[0]
    means = every.groupby(["group", "decile"], as_index=False).mean(numeric_only=True)
    total = means.groupby("group")["positives"].transform("sum")
    means["wanted"] = means["positives"] / total
    drawn = (
        _group_chart(panel, means[means["group"] == panel.group], split)
        for panel in BY_GROUP
    )
    return list(drawn), ""


def _groups(
    seed: FinishedSeed, root: Path | None, cache_dir: Path | None
) -> pd.DataFrame:
    """Return the table by group of a run's main test split, or of valid."""
    run = load_run(seed.folder, root=root, cache_dir=cache_dir, device="cpu")
    [split, *_] = test_splits(run.graph) or split_names(run.graph)
    evaluator = Evaluator(run.graph)
    return evaluator.by_group(evaluator.lists(run.method.scorer(run.graph), split))


@styled
def _group_chart(panel: GroupPanel, table: pd.DataFrame, split: str) -> Chart:
    figure, [[axes]] = new_figure(3.9, 2.3)
    looks = zip(COLORS, DASHES, strict=True)
    for (label, column), (color, dash) in zip(panel.lines.items(), looks, strict=False):
        axes.plot(
            table["decile"],
            table[column],
            color=color,
            linestyle=dash,
            linewidth=1.6,
            marker="o",
            markersize=3.5,
            label=label,
        )
    if len(panel.lines) > 1:
        axes.legend(loc="best")
    axes.set_xlabel("decile")
    axes.set_xticks(range(1, 11))
    axes.set_ylim(bottom=0)
    name = panel.title.lower().replace(" ", "-")
    note = f"{panel.note} Split {split}, lists of 20."
    return Chart(panel.title, note, inline_svg(figure, name, panel.title))
