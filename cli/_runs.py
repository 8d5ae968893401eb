"""Output of ``advnce ls runs`` and ``advnce show``."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import counted
from pyg_advinfonce.progress import wrapped
from pyg_advinfonce.registry import MONITOR
from pyg_advinfonce.runs import (
    Run,
    StudySummary,
    mean_and_std,
    run_summary,
    seed_text,
)

from .console import aligned, fitted, split_rows

INDENT = 12


def runs_text(runs: list[Run], root: Path) -> str:
    """Return two lines per run: its state, and what was trained with which result."""
    heads = aligned([_head(run, root) for run in runs], left=2)
    pairs = zip(heads, map(_result, runs), strict=True)
    return "\n".join(f"{head}\n  {result}" for head, result in pairs)


def studies_text(studies: Mapping[Path, StudySummary | None], root: Path) -> str:
    """Return a line per study, and one about its best trial."""
    lines = []
    for folder, study in studies.items():
        name = _name(folder, root)
        if study is None:
            lines.append(f"{name}  study: no trial has ended")
            continue
        states = ("complete", "pruned", "failed")
        counts = ", ".join(f"{study.trials.get(s, 0)} {s}" for s in states)
        what = f"{study.model} + {study.loss} on {study.data}"
        lines.append(f"{name}  study of {what}: {counts}")
        if study.best is not None:
            value, trial = study.best.get("value"), study.best.get("trial")
            text = f"{value:.4f}" if isinstance(value, float) else str(value)
            lines.append(f"  best so far: {study.monitor} {text} in trial {trial}")
    return "\n".join(lines)


def _name(folder: Path, root: Path) -> str:
    return str(folder.relative_to(root) if folder != root else folder)


def _head(run: Run, root: Path) -> list[str]:
    seeds = f"{len(run.seeds)} of {counted(run.num_seeds, 'seed')}"
    date = f"{run.starts[0].date} UTC" if run.starts else ""
    return [_name(run.folder, root), run.state, seeds, date]


def _result(run: Run) -> str:
    """Return what was trained, and the mean of the metric that selects."""
    what = f"{run.config.pair} on {run.config.data.name}"
    names = list(run.seeds[0].outcome.metrics) if run.seeds else []
    metric = MONITOR.split("/")[1]
    known = [n.removesuffix(f"/{metric}") for n in names if n.endswith(f"/{metric}")]
    if not known:
        return what
    first = sorted(known, key="valid".__ne__)[:2]
    means = [f"{split} {_mean(run, f'{split}/{metric}')}" for split in first]
    return f"{what}: {metric} {', '.join(means)}"


def _mean(run: Run, metric: str) -> str:
    mean = mean_and_std([seed.value(metric) for seed in run.seeds])["mean"]
    return "nan" if mean is None else f"{mean:.4f}"


def run_text(run: Run) -> str:
    """Return everything about a run that fits a screen."""
    rows = {
        "run": str(run.folder),
        "trained": f"{run.config.pair} on {run.config.data.name}",
        "state": _state(run),
        **_starts(run),
        "settings": _settings(run.config),
    }
    if run.seeds:
        outcome = run.seeds[0].outcome
        rows["data"] = outcome.data
        versions = (f"{name} {found}" for name, found in outcome.versions.items())
        rows["versions"] = ", ".join(versions)
        rows["device"] = f"{outcome.device}, {_times(run)}"
    lines = [
        f"{name:<{INDENT}}{wrapped(text, indent=INDENT)}" for name, text in rows.items()
    ]
    if run.seeds and run.seeds[0].outcome.metrics:
        names = run.seeds[0].outcome.metrics
        means = {n: mean_and_std([s.value(n) for s in run.seeds]) for n in names}
        lines += ["", *fitted(split_rows(means))]
    if run.seeds:
        lines += ["", *aligned([*_histories(run)])]
    files = _files(run.folder)
    return "\n".join([*lines, "", *files])


def run_json(run: Run) -> dict[str, Any]:
    """Return a JSON-ready object about a run."""
    return {
        "run_dir": str(run.folder),
        "state": run.state,
        "num_seeds": run.num_seeds,
        "starts": [start.model_dump() for start in run.starts],
        "changed": changed_settings(run.config),
        "summary": run_summary(run.seeds, run.folder) if run.seeds else None,
    }


def _state(run: Run) -> str:
    done = seed_text(seed.seed for seed in run.seeds) or "none"
    number = f"{len(run.seeds)} of {counted(run.num_seeds, 'seed')}"
    hint = ""
    if run.state == "interrupted":
        hint = f"; to resume: {shlex.join(_resume(run))}"
    return f"{run.state}, {number} ({done}){hint}"


def _resume(run: Run) -> list[str]:
    return ["advnce", "train", "--resume", str(run.folder)]


def _starts(run: Run) -> dict[str, str]:
    if not run.starts:
        return {}
    first, *again = run.starts
    dates = "".join(f", resumed {start.date}" for start in again)
    return {
        "started": f"{first.date} UTC{dates}, by version {first.version}",
        "command": first.command,
    }


def changed_settings(config: Config) -> dict[str, tuple[Any, Any]]:
    """Return the settings that differ from the packaged ones: theirs and the run's."""
    if config.custom:
        return {}
    names = config.model.name, config.loss.name, config.data.name
    known, own = Config.resolve(*names).flat(), config.flat()
    return {
        key: (known.get(key), own.get(key))
        for key in {**known, **own}
        if known.get(key) != own.get(key) and key != "train.seed"
    }


def _settings(config: Config) -> str:
    if config.custom:
        return "custom code: see config.toml"
    changed = [
        f"{key}={own} (packaged: {'not set' if known is None else known})"
        for key, (known, own) in changed_settings(config).items()
    ]
    return ", ".join(changed) or "as packaged"


def _times(run: Run) -> str:
    outcomes = [seed.outcome for seed in run.seeds]
    speeds = [s for o in outcomes if (s := o.seconds_per_epoch) is not None]
    speed = f"{sum(speeds) / len(speeds):.4f} s per epoch, " if speeds else ""
    return f"{speed}{sum(o.wall_seconds for o in outcomes):.1f} s in total"


def _histories(run: Run) -> Iterator[list[str]]:
    """Yield a header and, per finished seed, how loss and metric developed."""
    yield ["seed", "epochs", "best", "first loss", "last loss", "valid", "best valid"]
    for seed in run.seeds:
        history = seed.history
        names = [n for n in history if str(n).startswith("main/")]
        losses = history[names].sum(axis=1) if names else None
        scores = history[MONITOR].dropna() if MONITOR in history else None
        yield [
            str(seed.seed),
            str(seed.outcome.epochs),
            str(seed.outcome.best_epoch),
            *(_ends(losses) if losses is not None and len(losses) else ["-", "-"]),
            *(
                [f"{scores.iloc[0]:.4f}", f"{scores.max():.4f}"]
                if scores is not None and len(scores)
                else ["-", "-"]
            ),
        ]


def _ends(values: Any) -> list[str]:  # noqa: ANN401
    return [f"{values.iloc[0]:.4f}", f"{values.iloc[-1]:.4f}"]


def _files(folder: Path) -> list[str]:
    """Return the files of the run and of its first seed."""
    parts = [", ".join(_seen(folder))]
    for seed in sorted(folder.glob("seed-*"))[:1]:
        parts.append(f"{seed.name}/: {', '.join(_seen(seed))}")
    texts = [wrapped(part, indent=INDENT) for part in parts if part]
    heads = ["files", *[""] * len(texts)]
    return [f"{head:<{INDENT}}{text}" for head, text in zip(heads, texts, strict=False)]


def _seen(folder: Path) -> list[str]:
    names = [file.name for file in sorted(folder.iterdir()) if file.is_file()]
    return [name for name in names if not name.startswith(".")]
