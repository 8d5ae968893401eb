"""The paper's figures, each a table and a drawing (extra ``[plot]``)."""

from pyg_advinfonce.studies.paper.figures.adversary_sweep import adversary_sweep
from pyg_advinfonce.studies.paper.figures.false_negatives import false_negatives
from pyg_advinfonce.studies.paper.figures.figures import reproduce_figure
from pyg_advinfonce.studies.paper.figures.hardness_by_popularity import (
    draw_hardness_by_popularity,
    hardness_by_popularity,
    probability_by_popularity,
    probability_table,
)
from pyg_advinfonce.studies.paper.figures.refinement import refinement
from pyg_advinfonce.studies.paper.figures.strategies import strategies
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
    "adversary_sweep",
    "draw_hardness_by_popularity",
    "draw_level",
    "draw_path",
    "false_negatives",
    "hardness_by_popularity",
    "new_figure",
    "probability_by_popularity",
    "probability_table",
    "refinement",
    "reproduce_figure",
    "strategies",
    "styled",
]
