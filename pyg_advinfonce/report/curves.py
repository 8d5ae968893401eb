"""A run's curves: losses, validation, the adversary."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from pyg_advinfonce.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    draw_level,
    new_figure,
    styled,
)
from pyg_advinfonce.report.read import Seed
from pyg_advinfonce.report.svg import inline_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = (BLUE, ORANGE, GREEN, PURPLE)
DASHES = ("solid", "dashed", "dashdot", "dotted")


class Curve(NamedTuple):
    """One panel.

    Attributes:
        title: What it shows.
        lines: Columns of the history, by their label.
        note: A sentence about it.
        band: Whether the two lines are the ends of a range.
        best: Whether the best epoch is marked.
    """

    title: str
    lines: dict[str, str]
    note: str
    band: bool = False
    best: bool = False


class Chart(NamedTuple):
    """A drawn panel and what is said about it."""

    title: str
    note: str
    svg: Markup


TRAINING = (
    Curve(
        "Training loss",
        {"ranking loss": "main/rec"},
        "Mean of an epoch, the L2 penalty excluded.",
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
        "How far the adversary has moved from equal hardness.",
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
        "The share among all is what chance gives the false ones.",
    ),
    Curve(
        "False negatives identified",
        {"false minus all": "false_negatives_identified"},
        "Above zero the adversary softens false negatives more than others.",
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
        "Of users plus positives; lower is more spread out.",
    ),
)


def charts(curves: Sequence[Curve], seeds: Sequence[Seed]) -> Iterator[Chart]:
    """Draw the panels that the histories have values for."""
    for curve in curves:
        if any(_has(seed, column) for seed in seeds for column in curve.lines.values()):
            name = curve.title.lower().replace(" ", "-").replace("δ", "delta")
            svg = inline_svg(draw(curve, seeds), name, curve.title)
            yield Chart(curve.title, curve.note, svg)


def _has(seed: Seed, column: str) -> bool:
    return column in seed.history and bool(seed.history[column].notna().any())


@styled
def draw(curve: Curve, seeds: Sequence[Seed]) -> "Figure":
    """Draw a panel, a line a seed."""
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


def _mark_best(axes: "Axes", seed: Seed, column: str, color: str) -> None:
    best = seed.history[seed.history["epoch"] == seed.record["best_epoch"]]
    axes.plot(best["epoch"], best[column], marker="o", markersize=6, color=color)


def _fill(axes: "Axes", curve: Curve, seeds: Sequence[Seed]) -> None:
    columns = list(curve.lines.values())
    for seed in seeds:
        if all(_has(seed, column) for column in columns):
            known = seed.history.dropna(subset=columns)
            high, low = (known[column] for column in columns)
            axes.fill_between(known["epoch"], low, high, color=GREY, alpha=0.12, lw=0)
