"""Style, drawing parts and files of figures."""

import io
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
import pandas as pd

from pyg_advinfonce.errors import ConfigError, optional_package
from pyg_advinfonce.files import output_file, regular_file, without_formulas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

P = ParamSpec("P")
R = TypeVar("R")
Point = tuple[float, float]

# Okabe and Ito's palette, which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
PURPLE, GREY = "#b8659a", "#7a7f87"
INK, RULE = "#24292f", "#d8dce1"

STYLE = Path(__file__).with_name("advnce.mplstyle")
DPI, NUM_COLORS = 150, 128
NUM_ARROWS, LOOK_BACK = 3, 3


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a function so that it draws in the style of this package alone.

    Raises:
        MissingExtraError: If matplotlib is not installed, on each call.
        ConfigError: If matplotlib cannot be imported.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        # Over matplotlib's defaults, not the user's: a setting may change the look.
        with _matplotlib().rc_context(fname=STYLE):
            return function(*args, **kwargs)

    return call


def _matplotlib() -> Any:  # noqa: ANN401
    """Import matplotlib, which reads a file of the working directory."""
    if (own := Path("matplotlibrc")).exists() and not own.is_dir():
        regular_file(own)
    try:
        return optional_package("matplotlib")
    except (ValueError, OSError) as error:
        raise ConfigError(
            f"matplotlib cannot be imported ({error}): check MPLBACKEND, and the file "
            "matplotlibrc of the working directory or of matplotlib's folder"
        ) from error


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


def draw_path(axes: "Axes", x: "ArrayLike", y: "ArrayLike", color: str) -> None:
    """Draw points, a line through them, a few arrows and a ring at the start."""
    points = np.column_stack([x, y])  # [T, 2]
    axes.plot(*points.T, color=color, marker="o", markersize=2, linewidth=1.4)
    axes.plot(*points[0], color=color, marker="o", markersize=7, markerfacecolor="none")
    for start, end in _pieces(points):
        arrow = {"arrowstyle": "-|>", "color": color, "mutation_scale": 18, "lw": 0}
        axes.annotate("", end, start, arrowprops={**arrow, "shrinkA": 0, "shrinkB": 0})


def _pieces(points: "NDArray[Any]") -> list[tuple[Point, Point]]:
    """Return pairs of points at equal distances along the path, up to its end."""
    scale = np.ptp(points, axis=0)
    steps = np.hypot(*(np.diff(points, axis=0) / np.where(scale > 0, scale, 1)).T)
    passed = np.r_[0, steps.cumsum()]  # [T]
    if passed[-1] == 0:
        return []
    wanted = passed[-1] * np.arange(1, NUM_ARROWS + 1) / NUM_ARROWS
    ends = np.unique(np.searchsorted(passed, wanted).clip(1, len(points) - 1))
    places: list[Point] = [(float(px), float(py)) for px, py in points]
    return [(places[max(0, i - LOOK_BACK)], places[i]) for i in ends]


def draw_band(
    axes: "Axes",
    x: "pd.Series[Any]",
    rows: pd.DataFrame,
    color: str,
    *,
    alpha: float,
    linestyle: str = "-",
) -> None:
    """Draw the means as a line over x, with a band of one standard error."""
    mean, error = rows["mean"], rows["sem"]
    axes.plot(x, mean, color=color, linestyle=linestyle)
    axes.fill_between(x, mean - error, mean + error, color=color, alpha=alpha, lw=0)


def draw_level(axes: "Axes", height: float) -> None:
    """Draw a horizontal dashed reference line."""
    axes.axhline(height, color=GREY, linewidth=1, linestyle=(0, (4, 3)))


def focus_late(axes: "Axes", *, share: float = 0.2) -> None:
    """Scale the vertical axis to the lines after a share of the epochs."""
    points = np.concatenate([line.get_xydata() for line in axes.lines])  # [T, 2]
    late = points[points[:, 0] >= share * points[:, 0].max(), 1]
    margin = 0.08 * (np.ptp(late) or 1.0)
    axes.set_ylim(late.min() - margin, late.max() + margin)


def label_ends(
    axes: "Axes", ends: list[tuple[float, str, str]], *, gap: float = 0.062
) -> None:
    """Label lines at their right ends; overlapping labels are moved apart.

    Args:
        axes: The axes, whose limits must be final.
        ends: Height, text and colour of each line.
        gap: The minimum distance of two labels as a share of the axes' height.
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
    """Move positions apart; keep their order and, if possible, their centre."""
    order = sorted(range(len(places)), key=places.__getitem__)
    moved = [places[i] for i in order]
    for _ in range(100):
        for low in range(len(moved) - 1):
            lack = gap - (moved[low + 1] - moved[low])
            if lack > 0:
                moved[low] -= lack / 2
                moved[low + 1] += lack / 2
    above = max(0.0, moved[-1] - 1.0) if moved else 0.0
    return [moved[order.index(i)] - above for i in range(len(places))]


@styled
def save(figure: "Figure", table: pd.DataFrame, folder: Path, name: str) -> list[Path]:
    """Write ``name.png``, ``name.svg`` and ``name.csv``; return their paths."""
    png, svg, csv = (folder / f"{name}.{kind}" for kind in ("png", "svg", "csv"))
    with output_file(png) as file:
        _save_png(figure, file)
    with output_file(svg) as file:
        figure.savefig(file, format="svg", metadata={"Date": None})
    safe = without_formulas(table)
    text = safe.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    with output_file(csv) as file:
        file.write_text(text, encoding="utf-8")
    return [png, svg, csv]


def _save_png(figure: "Figure", path: Path) -> None:
    """Write a PNG with a palette, which halves its size; lines need few colours."""
    from PIL import Image

    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    with Image.open(file) as image:
        colors = image.convert("RGB").quantize(NUM_COLORS)
        colors.save(path, format="PNG", optimize=True)
