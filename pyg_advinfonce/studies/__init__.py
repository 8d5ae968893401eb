"""Comparing runs: differences and significance."""

from pyg_advinfonce.studies.compare import Comparison, compare, compare_runs, corrected
from pyg_advinfonce.studies.shown import (
    MAIN_METRICS,
    best_words,
    main_metrics,
    note_lines,
    number,
    p_text,
    ranked,
    setting_text,
    tests_text,
)

__all__ = [
    "MAIN_METRICS",
    "Comparison",
    "best_words",
    "compare",
    "compare_runs",
    "corrected",
    "main_metrics",
    "note_lines",
    "number",
    "p_text",
    "ranked",
    "setting_text",
    "tests_text",
]
