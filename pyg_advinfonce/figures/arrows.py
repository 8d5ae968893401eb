"""A way through a plane, with arrows in the direction of time."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

Point = tuple[float, float]
NUM_ARROWS, LOOK_BACK = 3, 3


def draw_path(axes: "Axes", x: "ArrayLike", y: "ArrayLike", color: str) -> None:
    """Draw points, a line through them and a few arrows; the start is a ring."""
    points = np.column_stack([x, y])  # [T, 2]
    axes.plot(*points.T, color=color, marker="o", markersize=2, linewidth=1.4)
    axes.plot(*points[0], color=color, marker="o", markersize=7, markerfacecolor="none")
    for start, end in _pieces(points):
        arrow = {"arrowstyle": "-|>", "color": color, "mutation_scale": 18, "lw": 0}
        axes.annotate("", end, start, arrowprops={**arrow, "shrinkA": 0, "shrinkB": 0})


def _pieces(points: "NDArray[Any]") -> list[tuple[Point, Point]]:
    """Return pairs of points at equal distances along the way, the last at its end."""
    scale = np.ptp(points, axis=0)
    steps = np.hypot(*(np.diff(points, axis=0) / np.where(scale > 0, scale, 1)).T)
    passed = np.r_[0, steps.cumsum()]  # [T]
    if passed[-1] == 0:
        return []
    wanted = passed[-1] * np.arange(1, NUM_ARROWS + 1) / NUM_ARROWS
    ends = np.unique(np.searchsorted(passed, wanted).clip(1, len(points) - 1))
    places: list[Point] = [(float(px), float(py)) for px, py in points]
    return [(places[max(0, i - LOOK_BACK)], places[i]) for i in ends]
