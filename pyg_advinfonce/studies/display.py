"""What a person is shown of runs and trials: numbers, notes, the main metrics."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

MAIN_METRICS = ("recall@20", "ndcg@20")

Row = TypeVar("Row", bound=Mapping[str, Any])


def main_metrics(names: Iterable[str]) -> list[str]:
    """Return those of metrics that are recall or NDCG at 20 of a test split."""
    tested = [name for name in names if not name.startswith("valid/")]
    return [name for name in tested if name.endswith(MAIN_METRICS)]


def setting_text(value: object, digits: int = 4) -> str:
    """Return a setting in few digits."""
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def format_p(p: float | None) -> str:
    """Return three decimals, a bound for what is less, a dash for no p."""
    if p is None:
        return "-"
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def tests_text(number: int, base: str) -> str:
    """Say where the p-values of so many comparisons with a base come from."""
    return (
        "p: paired t-test over seeds and paired bootstrap over users, two-sided, "
        f"Holm-corrected over {number} comparisons with {base}"
    )


def note_lines(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """Return each note once, with the comparisons that it is of unless it is of all.

    Args:
        notes: The notes of every comparison, by its name.
    """
    lines = []
    for note in dict.fromkeys(note for own in notes.values() for note in own):
        names = [name for name, own in notes.items() if note in own]
        whose = "" if len(names) == len(notes) else f": {', '.join(names)}"
        lines.append(f"{note}{whose}")
    return lines


def ranked_trials(rows: Iterable[Row]) -> list[Row]:
    """Return the complete trials, the best first, then the others likewise.

    Of equals the earliest comes first.
    """
    return sorted(
        rows,
        key=lambda row: (row["state"] != "complete", -(as_number(row["value"]) or 0)),
    )


def as_number(value: Any) -> float | None:  # noqa: ANN401
    """Return a number, also one that is a text; None for what is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def best_command(summary: Mapping[str, Any], file: Path) -> list[str]:
    """Return what follows ``advnce`` to train a study's best settings.

    Args:
        summary: What the study's ``summary.json`` holds.
        file: Its settings' file.
    """
    named = ["--loss", summary["loss"], "--data", summary["data"]]
    return ["train", summary["model"], *named, "--config", str(file)]
