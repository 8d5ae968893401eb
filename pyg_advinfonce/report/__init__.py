"""A run or a study as one HTML page that needs nothing else."""

from pyg_advinfonce.report.write import write_report

__all__ = ["write_report"]
