"""The paper's tables, reproduced."""

from pyg_advinfonce.studies.paper.formats import TEXT_COLUMNS
from pyg_advinfonce.studies.paper.published import paper_table
from pyg_advinfonce.studies.paper.request import Report, Request, Watcher
from pyg_advinfonce.studies.paper.table import reproduce_table

__all__ = [
    "TEXT_COLUMNS",
    "Report",
    "Request",
    "Watcher",
    "paper_table",
    "reproduce_table",
]
