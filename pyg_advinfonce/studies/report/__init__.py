"""A run or a study as one self-contained HTML page."""

from pyg_advinfonce.studies.report.write import write_comparison, write_report

__all__ = [
    "write_comparison",
    "write_report",
]
