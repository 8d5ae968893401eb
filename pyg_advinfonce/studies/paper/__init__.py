"""The paper's tables, reproduced."""

from pyg_advinfonce.studies.paper.formats import TEXT_COLUMNS
from pyg_advinfonce.studies.paper.published import paper_table
from pyg_advinfonce.studies.paper.request import Report, Request
from pyg_advinfonce.studies.paper.table import reproduce_table

__all__ = [
    "TEXT_COLUMNS",
    "Report",
    "Request",
    "paper_table",
    "reproduce_table",
]
