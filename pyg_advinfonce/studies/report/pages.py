"""Variables of the pages of a run and of a study."""

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyg_advinfonce.config import Config, paper_numbers, settings
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.runs import (
    BEST,
    FinishedSeed,
    mean_and_std,
    mean_and_std_text,
    read_run,
    read_starts,
    seed_text,
)
from pyg_advinfonce.studies import (
    best_command,
    compare_runs,
    format_p,
    main_metrics,
    note_lines,
    ranked_trials,
    setting_text,
    tests_text,
)
from pyg_advinfonce.studies.paper.figures import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    new_figure,
    styled,
)
from pyg_advinfonce.studies.report.charts import (
    GEOMETRY,
    HARDNESS,
    TRAINING,
    Chart,
    charts,
    group_figures,
    inline_svg,
    run_curves,
    run_figures,
)
from pyg_advinfonce.studies.report.read import Row, Study, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMES = 7
WIDE_RANGE = 20.0
TIGHT = {"columnspacing": 1.0, "handletextpad": 0.3}


def run_page(
    seeds: Sequence[FinishedSeed], *, root: Path | None, cache_dir: Path | None
) -> dict[str, Any]:
    """Return the variables of ``run.html.jinja``."""
    config = seeds[0].config
    config.check_held_out(seeds[0].folder)
    metrics = _metrics(seeds)
    paper = paper_numbers(config)
    figures, missing = run_figures(seeds, root=root, cache_dir=cache_dir)
    by_group, no_groups = group_figures(seeds, root=root, cache_dir=cache_dir)
    return {
        "title": f"{config.pair} on {config.data.name}",
        "config": config,
        "fingerprint": seeds[0].fingerprint,
        "seeds": [seed.seed for seed in seeds],
        "tiles": _run_tiles(seeds, metrics, paper),
        "metrics": _table(metrics, paper),
        "by_seed": _by_seed(seeds),
        "groups": [
            ("Training", list(charts(TRAINING, seeds))),
            ("The adversary", list(charts(HARDNESS, seeds))),
            ("Embeddings", list(charts(GEOMETRY, seeds))),
        ],
        "figures": figures,
        "missing": missing,
        "by_group": by_group,
        "no_groups": no_groups,
        "settings": _settings(config),
        "environment": _environment(seeds),
    }


def _metrics(seeds: Sequence[FinishedSeed]) -> dict[str, dict[str, Any]]:
    names = list(seeds[0].outcome.metrics)
    values = {
        name: [seed.outcome.metrics.get(name) for seed in seeds] for name in names
    }
    return {name: mean_and_std(found) for name, found in values.items()}


def _run_tiles(
    seeds: Sequence[FinishedSeed], metrics: dict[str, Any], paper: dict[str, Any]
) -> list[tuple[str, str, str]]:
    """Return title, value and remark of the tiles at the top."""
    tiles = []
    for name in main_metrics(metrics)[:2]:
        by = paper.get("by", "paper")
        known = f"{by} {paper[name]:.4f}" if name in paper else ""
        tiles.append((name, mean_and_std_text(metrics[name]), known))
    epochs = ", ".join(f"{s.outcome.best_epoch}" for s in seeds)
    lasts = ", ".join(f"0-{len(s.history) - 1}" for s in seeds)
    tiles.append(("best epoch", epochs, f"of {lasts}, by valid recall@20"))
    seconds = sum(seed.outcome.wall_seconds for seed in seeds)
    tiles.append(("time", f"{seconds:.1f} s", "all seeds, loading the data excluded"))
    return tiles


def _table(metrics: dict[str, Any], paper: dict[str, Any]) -> dict[str, Any]:
    """Return columns and rows of metrics by split, test splits first."""
    splits = list(dict.fromkeys(name.split("/")[0] for name in metrics))
    columns = list(dict.fromkeys(name.split("/")[-1] for name in metrics))
    rows = []
    for split in sorted(splits, key=lambda s: s == "valid"):
        found = [metrics.get(f"{split}/{column}") for column in columns]
        rows.append(
            (
                split,
                False,
                [mean_and_std_text(value) if value else "" for value in found],
            )
        )
        known = [paper.get(f"{split}/{column}") for column in columns]
        if any(value is not None for value in known):
            cells = ["" if value is None else f"{value:.4f}" for value in known]
            rows.append((f"{split}, {paper.get('by', 'paper')}", True, cells))
    table = f"Table {paper['table']}" if "table" in paper else ""
    return {"columns": columns, "rows": rows, "source": table}


def _by_seed(seeds: Sequence[FinishedSeed]) -> dict[str, Any]:
    names = list(seeds[0].outcome.metrics)
    rows = []
    for seed in seeds:
        found = [seed.outcome.metrics.get(name) for name in names]
        cells = ["nan" if value is None else f"{value:.4f}" for value in found]
        rows.append((seed.seed, seed.outcome.best_epoch, cells))
    return {"columns": names, "rows": rows}


def _settings(config: Config) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return all settings but the seed, by section."""
    found: dict[str, list[tuple[str, str]]] = {}
    for setting in settings(config):
        section, key = setting.name.split(".")
        if setting.value is not None and setting.name != "train.seed":
            found.setdefault(section, []).append(
                (key, setting_text(setting.value, digits=6))
            )
    return list(found.items())


def _environment(seeds: Sequence[FinishedSeed]) -> list[tuple[str, str]]:
    saved = [seed.outcome for seed in seeds]
    speeds = [s.seconds_per_epoch for s in saved if s.seconds_per_epoch is not None]
    rows = [
        pair
        for start in read_starts(seeds[0].folder)
        for pair in (("started", f"{start.date} UTC"), ("command", start.command))
    ]
    rows += [("device", ", ".join(dict.fromkeys(s.device for s in saved)))]
    rows += saved[0].versions.items()
    if speeds:
        rows.append(("training per epoch", f"{sum(speeds) / len(speeds):.4f} s"))
    rows.append(("peak memory", f"{max(s.peak_rss_mb for s in saved):.0f} MB"))
    return [*rows, ("data", saved[0].data)]


def comparison_page(folders: Sequence[Path]) -> dict[str, Any]:
    """Return the variables of ``comparison.html.jinja``."""
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    if len(set(names)) < len(names):
        raise ConfigError("a report of several runs expects each of them once")
    summary, runs = compare_runs(folders), [read_run(folder) for folder in folders]
    starts = [read_starts(seeds[0].folder) for seeds in runs]
    compared = {
        f"{name} {metric}": row["notes"]
        for metric, rows in summary["metrics"].items()
        for name, row in zip(names[1:], rows[1:], strict=True)
    }
    return {
        "title": f"{names[0]} and {', '.join(names[1:])}",
        "fingerprint": summary["data"],
        "runs": [
            {
                "name": name,
                "pair": seeds[0].config.pair,
                "seeds": seed_text(seed.seed for seed in seeds),
                "started": f"{first[0].date} UTC" if first else "",
            }
            for name, seeds, first in zip(names, runs, starts, strict=True)
        ],
        "metrics": [
            (metric, list(zip(names, map(_compared, rows), strict=True)))
            for metric, rows in summary["metrics"].items()
        ],
        "notes": [tests_text(len(compared), names[0]), *note_lines(compared)],
        "charts": list(run_curves(dict(zip(names, runs, strict=True)))),
        "differing": [
            (name, ["not set" if v is None else setting_text(v) for v in values])
            for name, values in summary["differing"].items()
        ],
        "commands": [
            (name, start.command)
            for name, first in zip(names, starts, strict=True)
            for start in first
        ],
    }


def _compared(row: Mapping[str, Any]) -> list[str]:
    """Return mean, difference and p-values; the first run has only a mean."""
    mean = mean_and_std_text(row)
    if "difference" not in row:
        return [mean, "", "", ""]
    change = row["difference"]
    difference = "nan" if change is None else f"{change:+z.4f}"
    ps = (row["p_seeds_holm"], row["p_users_holm"])
    return [mean, difference, *map(format_p, ps)]


def study_page(study: Study, folder: Path) -> dict[str, Any]:
    """Return the variables of ``study.html.jinja``."""
    summary, rows = study.summary, study.trials
    keys = list(rows[0]["params"] if rows else {})
    return {
        "title": f"{summary.model} + {summary.loss} on {summary.data}",
        "summary": summary,
        "fingerprint": summary.fingerprint,
        "tiles": _study_tiles(summary, rows),
        "best": _best(summary, rows, keys),
        "command": _command(summary, folder),
        "progress": [_progress(rows, summary.monitor)] if _complete(rows) else [],
        "parameters": list(_parameters(rows, keys, summary.monitor)),
        "keys": keys,
        "trials": [_trial(row, keys) for row in ranked_trials(rows)],
        "environment": [
            ("trial, at most", f"{summary.epochs} epochs"),
            ("seed", str(summary.seed)),
            *summary.versions.items(),
            ("data", summary.fingerprint),
        ],
    }


def _complete(rows: Sequence[Row]) -> list[Row]:
    return [r for r in rows if r["state"] == "complete" and r["value"] is not None]


def _study_tiles(summary: Summary, rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    best, default = summary.best, summary.default_value
    states = [row["state"] for row in rows]
    others = (s for s in dict.fromkeys(states) if s != "complete")
    counts = ", ".join(f"{states.count(state)} {state}" for state in others)
    tiles = [("trials", f"{states.count('complete')} complete", counts)]
    if best is not None:
        found = f"trial {best.trial}, epoch {best.best_epoch}"
        tiles.insert(0, (f"best {summary.monitor}", f"{best.value:.4f}", found))
    if default is not None:
        tiles.insert(1, ("default", f"{default:.4f}", "the initial settings"))
    minutes = f"{summary.seconds / 60:.1f} min"
    return [*tiles, ("time", minutes, "training of all trials")]


def _best(
    summary: Summary, rows: Sequence[Row], keys: Sequence[str]
) -> list[tuple[str, str, str]]:
    """Return every parameter with its values in the default and the best trial."""
    if summary.best is None:
        return []
    default: dict[str, str]
    default = next((row["params"] for row in rows if row["default"]), {})
    found = summary.best.params
    return [
        (key, _short(default.get(key, "")), _short(str(found.get(key, ""))))
        for key in keys
    ]


def _as_number(text: str) -> float | None:
    """Return a finite number's text as a float; None for anything else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _short(text: str) -> str:
    """Return a number in a few digits, other text unchanged."""
    value = _as_number(text)
    is_whole = text.lstrip("-").isdigit()
    return text if value is None or is_whole else setting_text(value)


def _command(summary: Summary, folder: Path) -> str:
    if summary.best is None:
        return ""
    words = best_command(summary.model_dump(), folder / BEST)
    return shlex.join(["advnce", *words])


def _trial(row: Row, keys: Sequence[str]) -> dict[str, Any]:
    texts = {name: "" if row[name] is None else row[name] for name in row}
    return {
        "number": row["trial"],
        "is_default": row["default"],
        "state": row["state"],
        "value": setting_text(texts["value"]),
        "best_epoch": texts["best_epoch"],
        "seconds": setting_text(texts["seconds"]),
        "params": [_short(row["params"].get(key, "")) for key in keys],
        "error": texts["error"],
    }


@styled
def _progress(rows: Sequence[Row], monitor: str) -> Chart:
    """Draw every trial's value and the best so far."""
    figure, [[axes]] = new_figure(4.8, 3.0)
    complete = _complete(rows)
    numbers = [row["trial"] for row in complete]
    values = [row["value"] for row in complete]
    best = [max(values[: i + 1]) for i in range(len(values))]
    axes.step(numbers, best, where="post", color=ORANGE, label="best so far")
    axes.plot(numbers, values, "o", color=BLUE, markersize=5, label="complete trial")
    others = [row["trial"] for row in rows if row["state"] != "complete"]
    low = min(values)
    axes.plot(others, [low] * len(others), "x", color=GREY, label="not completed")
    axes.set_xlabel("trial")
    axes.locator_params(axis="x", integer=True)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, **TIGHT)
    title = f"{monitor} by trial"
    note = "Crosses at the bottom: pruned and failed trials."
    return Chart(title, note, inline_svg(figure, "progress", title))


def _parameters(
    rows: Sequence[Row], keys: Sequence[str], monitor: str
) -> Iterator[Chart]:
    """Plot the value of the complete trials against each parameter that varies."""
    for place, key in enumerate(keys):
        known = [row for row in _complete(rows) if row["params"][key] != ""]
        if len({row["params"][key] for row in known}) > 1:
            svg = inline_svg(_scatter(known, key), f"parameter-{place}", key)
            yield Chart(key, "", svg)


@styled
def _scatter(rows: Sequence[Row], key: str) -> "Figure":
    figure, [[axes]] = new_figure(3.7, 2.4)
    places = _place(axes, [row["params"][key] for row in rows])
    values = [row["value"] for row in rows]
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
    """Return positions on the horizontal axis; a few values are placed evenly."""
    numbers = [found for text in texts if (found := _as_number(text)) is not None]
    if len(numbers) < len(texts) or len(set(texts)) <= MOST_NAMES:
        names = sorted(set(texts), key=lambda text: (_as_number(text) or 0.0, text))
        axes.set_xticks(range(len(names)), map(_short, names), fontsize=8)
        return [float(names.index(text)) for text in texts]
    if min(numbers) > 0 and max(numbers) / min(numbers) >= WIDE_RANGE:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    return numbers
