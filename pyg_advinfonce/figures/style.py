"""How our figures look, and the one place that imports matplotlib."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
import pandas as pd

from pyg_advinfonce.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")

# Okabe and Ito's palette, which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
PURPLE, GREY = "#b8659a", "#7a7f87"
INK, RULE = "#24292f", "#d8dce1"

STYLE = Path(__file__).with_name("advnce.mplstyle")


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function draw in our style; what it does begins with matplotlib there.

    Raises:
        MissingExtraError: If matplotlib is not installed, when the function is called.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            from matplotlib import style
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                "figures need matplotlib: pip install 'pyg-advinfonce[plot]'"
            ) from error
        with style.context(STYLE):
            return function(*args, **kwargs)

    return call


def new_figure(
    width: float,
    height: float,
    *,
    rows: int = 1,
    columns: int = 1,
    **options: Any,  # noqa: ANN401
) -> "tuple[Figure, NDArray[Any]]":
    """Return a figure of a size in inches and its axes ``[rows, columns]``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def draw_band(
    axes: "Axes",
    x: "pd.Series[Any]",
    rows: pd.DataFrame,
    color: str,
    *,
    alpha: float,
    linestyle: str = "-",
) -> None:
    """Draw the means of rows as a line over x, with a band of one standard error."""
    mean, error = rows["mean"], rows["sem"]
    axes.plot(x, mean, color=color, linestyle=linestyle)
    axes.fill_between(x, mean - error, mean + error, color=color, alpha=alpha, lw=0)


def draw_level(axes: "Axes", height: float) -> None:
    """Draw a dashed line across that others are seen against."""
    axes.axhline(height, color=GREY, linewidth=1, linestyle=(0, (4, 3)))


def focus_late(axes: "Axes", *, share: float = 0.2) -> None:
    """Let the height of axes follow their lines after a share of the epochs."""
    points = np.concatenate([line.get_xydata() for line in axes.lines])  # [T, 2]
    late = points[points[:, 0] >= share * points[:, 0].max(), 1]
    margin = 0.08 * (np.ptp(late) or 1.0)
    axes.set_ylim(late.min() - margin, late.max() + margin)


def label_ends(
    axes: "Axes", ends: list[tuple[float, str, str]], *, gap: float = 0.062
) -> None:
    """Name lines at their right ends, moved apart where they would overlap.

    Args:
        axes: Where; its limits must be final.
        ends: Height, text and colour of each line.
        gap: The least distance of two labels as a share of the axes' height.
    """
    low, high = axes.get_ylim()
    places = _apart([(y - low) / (high - low) for y, _, _ in ends], gap)
    for place, (_, text, color) in zip(places, ends, strict=True):
        axes.annotate(
            text,
            (1.0, place),
            (6, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            color=color,
            va="center",
            fontsize=9,
            annotation_clip=False,
        )


def _apart(places: list[float], gap: float) -> list[float]:
    """Move places apart, keeping their order and, as far as it goes, their middle."""
    order = sorted(range(len(places)), key=places.__getitem__)
    spread = [places[i] for i in order]
    for _ in range(100):
        for low in range(len(spread) - 1):
            lack = gap - (spread[low + 1] - spread[low])
            if lack > 0:
                spread[low] -= lack / 2
                spread[low + 1] += lack / 2
    above = max(0.0, spread[-1] - 1.0) if spread else 0.0
    return [spread[order.index(i)] - above for i in range(len(places))]
