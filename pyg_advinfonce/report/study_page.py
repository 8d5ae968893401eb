"""What the page of a study says."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyg_advinfonce.figures.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    new_figure,
    styled,
)
from pyg_advinfonce.report.curves import Chart
from pyg_advinfonce.report.read import Row, Study
from pyg_advinfonce.report.svg import inline_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMES = 7
WIDE_RANGE = 20.0
TIGHT = {"columnspacing": 1.0, "handletextpad": 0.3}


def study_page(study: Study, folder: Path) -> dict[str, Any]:
    """Return the variables of ``study.html.jinja``."""
    summary, rows = study.summary, study.trials
    keys = [key for key in (rows[0] if rows else {}) if "." in key]
    return {
        "title": f"{summary['model']} + {summary['loss']} on {summary['data']}",
        "summary": summary,
        "fingerprint": summary.get("fingerprint", ""),
        "tiles": _tiles(summary, rows),
        "best": _best(summary, rows, keys),
        "command": _command(summary, folder),
        "progress": [_progress(rows, summary["monitor"])] if _complete(rows) else [],
        "parameters": list(_parameters(rows, keys, summary["monitor"])),
        "keys": keys,
        "trials": [_trial(row, keys) for row in ranked(rows)],
        "environment": [
            ("trial, at most", f"{summary.get('epochs', '-')} epochs"),
            ("seed", str(summary.get("seed", "-"))),
            *((name, str(v)) for name, v in summary.get("versions", {}).items()),
            ("data", str(summary.get("fingerprint", "-"))),
        ],
    }


def ranked(rows: Sequence[Row]) -> list[Row]:
    """Return the complete trials, the best first, then the others likewise."""
    return sorted(rows, key=lambda row: (row["state"] != "complete", -_value(row)))


def _value(row: Row) -> float:
    return _number(row["value"]) or 0.0


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _complete(rows: Sequence[Row]) -> list[Row]:
    return [
        r for r in rows if r["state"] == "complete" and _number(r["value"]) is not None
    ]


def _tiles(summary: dict[str, Any], rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    best, default = summary["best"], summary.get("default_value")
    states = [row["state"] for row in rows]
    others = (s for s in dict.fromkeys(states) if s != "complete")
    counts = ", ".join(f"{states.count(state)} {state}" for state in others)
    tiles = [("trials", f"{states.count('complete')} complete", counts)]
    if best:
        found = f"trial {best['trial']}, epoch {best['best_epoch']}"
        tiles.insert(0, (f"best {summary['monitor']}", f"{best['value']:.4f}", found))
    if default is not None:
        tiles.insert(1, ("default", f"{default:.4f}", "the settings it began with"))
    minutes = f"{(summary.get('seconds') or 0.0) / 60:.1f} min"
    return [*tiles, ("time", minutes, "of training, all trials")]


def _best(
    summary: dict[str, Any], rows: Sequence[Row], keys: Sequence[str]
) -> list[tuple[str, str, str]]:
    """Return every parameter with the default's and the best trial's value."""
    if not summary["best"]:
        return []
    default = next((row for row in rows if row.get("default") == "True"), {})
    found = summary["best"]["params"]
    return [
        (key, _short(default.get(key, "")), _short(str(found.get(key, ""))))
        for key in keys
    ]


def _short(text: str) -> str:
    """Return a number in few digits, any other text as it is."""
    number = _number(text)
    return text if number is None or text.lstrip("-").isdigit() else f"{number:.4g}"


def _command(summary: dict[str, Any], folder: Path) -> str:
    if not summary["best"]:
        return ""
    named = ["--loss", summary["loss"], "--data", summary["data"]]
    words = ["train", summary["model"], *named, "--config", str(folder / "best.toml")]
    return shlex.join(["advnce", *map(str, words)])


def _trial(row: Row, keys: Sequence[str]) -> dict[str, Any]:
    return {
        "number": row["trial"],
        "is_default": row.get("default") == "True",
        "state": row["state"],
        "value": _short(row["value"]),
        "best_epoch": row.get("best_epoch", ""),
        "seconds": _short(row.get("seconds", "")),
        "params": [_short(row.get(key, "")) for key in keys],
        "error": row.get("error", ""),
    }


@styled
def _progress(rows: Sequence[Row], monitor: str) -> Chart:
    """Draw every trial's value, and the best so far."""
    figure, [[axes]] = new_figure(4.8, 3.0)
    complete = _complete(rows)
    numbers = [int(row["trial"]) for row in complete]
    values = [_value(row) for row in complete]
    best = [max(values[: i + 1]) for i in range(len(values))]
    axes.step(numbers, best, where="post", color=ORANGE, label="best so far")
    axes.plot(numbers, values, "o", color=BLUE, markersize=5, label="complete trial")
    others = [int(row["trial"]) for row in rows if row["state"] != "complete"]
    low = min(values)
    axes.plot(others, [low] * len(others), "x", color=GREY, label="not completed")
    axes.set_xlabel("trial")
    axes.locator_params(axis="x", integer=True)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, **TIGHT)
    title = f"{monitor} by trial"
    note = "Trials that were pruned or failed are crosses at the bottom."
    return Chart(title, note, inline_svg(figure, "progress", title))


def _parameters(
    rows: Sequence[Row], keys: Sequence[str], monitor: str
) -> Iterator[Chart]:
    """Draw the complete trials' values against every parameter that varies."""
    for number, key in enumerate(keys):
        known = [row for row in _complete(rows) if row[key] != ""]
        if len({row[key] for row in known}) > 1:
            svg = inline_svg(_scatter(known, key), f"parameter-{number}", key)
            yield Chart(key, "", svg)


@styled
def _scatter(rows: Sequence[Row], key: str) -> "Figure":
    figure, [[axes]] = new_figure(3.7, 2.4)
    places = _place(axes, [row[key] for row in rows])
    values = [_value(row) for row in rows]
    axes.plot(places, values, "o", color=BLUE, alpha=0.6, markersize=5)
    best = values.index(max(values))
    axes.plot(places[best], values[best], "o", color=ORANGE, markersize=8)
    axes.annotate(
        "best",
        (places[best], values[best]),
        (0, 7),
        textcoords="offset points",
        ha="center",
        color=INK,
    )
    axes.margins(x=0.08, y=0.16)
    return figure


def _place(axes: "Axes", texts: Sequence[str]) -> list[float]:
    """Return where values lie on the horizontal axis, side by side if few."""
    numbers = [number for text in texts if (number := _number(text)) is not None]
    if len(numbers) < len(texts) or len(set(texts)) <= MOST_NAMES:
        names = sorted(set(texts), key=lambda text: (_number(text) or 0.0, text))
        axes.set_xticks(range(len(names)), map(_short, names), fontsize=8)
        return [float(names.index(text)) for text in texts]
    if min(numbers) > 0 and max(numbers) / min(numbers) >= WIDE_RANGE:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    return numbers
