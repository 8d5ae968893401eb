"""The table of ``advnce compare``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyg_advinfonce.progress import wrapped
from pyg_advinfonce.runs import mean_and_std_text, seed_text
from pyg_advinfonce.studies import format_p, note_lines, tests_text

from .console import fitted, on_screen

HEAD = ["seeds", "mean", "difference", "p seeds", "p users"]


def comparison_text(summary: Mapping[str, Any]) -> str:
    """Return one table per metric, the differing settings and the notes."""
    lines = [f"data  {on_screen(summary['data'], indent=6)}"]
    for metric, rows in summary["metrics"].items():
        lines += ["", *fitted(_rows(summary, metric, rows))]
    return "\n".join([*lines, "", _differing(summary), *_notes(summary)])


def _differing(summary: Mapping[str, Any]) -> str:
    """Return the settings that differ, values in the order of the runs."""
    texts = [
        f"{name} {' / '.join('not set' if v is None else str(v) for v in values)}"
        for name, values in summary["differing"].items()
    ]
    text = ", ".join(texts) or "none"
    return wrapped(f"settings differ: {text}", indent=2)


def _rows(
    summary: Mapping[str, Any], metric: str, rows: Sequence[Mapping[str, Any]]
) -> list[list[str]]:
    runs = zip(_names(summary["runs"]), summary["seeds"], rows, strict=True)
    return [
        [metric, *HEAD],
        *(
            [name, seed_text(seeds), mean_and_std_text(row), *_comparison(row, rows[0])]
            for name, seeds, row in runs
        ),
    ]


def _names(runs: Sequence[str]) -> Sequence[str]:
    """Return the folders' names if they are unique, else their paths."""
    names = [Path(run).name for run in runs]
    return names if len(set(names)) == len(names) else runs


def _comparison(row: Mapping[str, Any], base: Mapping[str, Any]) -> list[str]:
    if "difference" not in row:
        return ["", "", ""]
    ps = (row[key] for key in ("p_seeds_holm", "p_users_holm"))
    return [_difference(row["difference"], base["mean"]), *map(format_p, ps)]


def _difference(value: float | None, base: float | None) -> str:
    if value is None:
        return "nan"
    share = f" ({100 * value / base:+.1f} %)" if base else ""
    return f"{value:+z.4f}{share}"


def _notes(summary: Mapping[str, Any]) -> list[str]:
    compared = {
        f"{name} {metric}": row["notes"]
        for metric, rows in summary["metrics"].items()
        for name, row in zip(_names(summary["runs"])[1:], rows[1:], strict=True)
    }
    notes = [tests_text(len(compared), "the first run"), *note_lines(compared)]
    return [wrapped(note, indent=2) for note in notes]
