"""Comparing runs: differences and significance."""

from pyg_advinfonce.studies.compare import (
    Comparison,
    compare,
    compare_runs,
    holm_corrected,
)
from pyg_advinfonce.studies.display import (
    MAIN_METRICS,
    best_command,
    format_p,
    main_metrics,
    note_lines,
    ranked_trials,
    setting_text,
    tests_text,
)

__all__ = [
    "MAIN_METRICS",
    "Comparison",
    "best_command",
    "compare",
    "compare_runs",
    "format_p",
    "holm_corrected",
    "main_metrics",
    "note_lines",
    "ranked_trials",
    "setting_text",
    "tests_text",
]
