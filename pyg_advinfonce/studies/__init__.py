"""Comparing runs: differences and significance."""

from pyg_advinfonce.studies.compare import (
    Comparison,
    compare,
    compare_runs,
    corrected,
    note_lines,
    p_text,
)

__all__ = [
    "Comparison",
    "compare",
    "compare_runs",
    "corrected",
    "note_lines",
    "p_text",
]
