"""Reproduction of the paper's tables."""

from pyg_advinfonce.studies.paper.formats import TEXT_COLUMNS
from pyg_advinfonce.studies.paper.paper_table import paper_table
from pyg_advinfonce.studies.paper.request import Reproduction, Request
from pyg_advinfonce.studies.paper.table import reproduce_table

__all__ = [
    "TEXT_COLUMNS",
    "Reproduction",
    "Request",
    "paper_table",
    "reproduce_table",
]
