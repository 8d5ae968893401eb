"""Text for tables of runs and trials: numbers, notes, the main metrics."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

MAIN_METRICS = ("recall@20", "ndcg@20")

Row = TypeVar("Row", bound=Mapping[str, Any])


def main_metrics(names: Iterable[str]) -> list[str]:
    """Return the metrics that are recall or NDCG at 20 of a test split.

    Without a test split they are those of valid.
    """
    found = [name for name in names if name.endswith(MAIN_METRICS)]
    return [name for name in found if not name.startswith("valid/")] or found


def setting_text(value: object, digits: int = 4) -> str:
    """Return a setting as text; floats have at most ``digits`` significant digits."""
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def format_p(p: float | None) -> str:
    """Return p in three decimals, ``<0.001`` below that, a dash for None."""
    if p is None:
        return "-"
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def tests_text(number: int, base: str) -> str:
    """Return the note that names the tests behind the p-values."""
    return (
        "p: paired t-test over seeds and paired bootstrap over users, two-sided, "
        f"Holm-corrected over {number} comparisons with {base}"
    )


def note_lines(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """Return each note once, with its comparisons unless it applies to all.

    Args:
        notes: The notes by comparison.
    """
    lines = []
    for note in dict.fromkeys(note for own in notes.values() for note in own):
        names = [name for name, own in notes.items() if note in own]
        whose = "" if len(names) == len(notes) else f": {', '.join(names)}"
        lines.append(f"{note}{whose}")
    return lines


def ranked_trials(rows: Iterable[Row]) -> list[Row]:
    """Return the complete trials, best first, then the others, best first.

    Equal trials keep their order.
    """
    return sorted(
        rows,
        key=lambda row: (row["state"] != "complete", -(row["value"] or 0)),
    )


def best_command(summary: Mapping[str, Any], file: Path) -> list[str]:
    """Return the arguments of ``advnce`` that train a study's best settings.

    Args:
        summary: The content of the study's ``summary.json``.
        file: The file of the best settings.
    """
    named = ["--loss", summary["loss"], "--data", summary["data"]]
    return ["train", summary["model"], *named, "--config", str(file)]
