"""The paper's figures: a table and a drawing each (extra ``[plot]``)."""

from pyg_advinfonce.studies.paper.figures.figures import reproduce_figure
from pyg_advinfonce.studies.paper.figures.hardness_by_popularity import (
    draw_hardness_by_popularity,
    profile,
    rows_of,
)
from pyg_advinfonce.studies.paper.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RULE,
    draw_level,
    draw_path,
    new_figure,
    styled,
)

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "INK",
    "ORANGE",
    "PURPLE",
    "RULE",
    "draw_hardness_by_popularity",
    "draw_level",
    "draw_path",
    "new_figure",
    "profile",
    "reproduce_figure",
    "rows_of",
    "styled",
]
