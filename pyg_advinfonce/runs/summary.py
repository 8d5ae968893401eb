"""Summary of several seeds of one configuration."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pyg_advinfonce.runs.finished import FinishedSeed


def seed_text(seeds: Iterable[int]) -> str:
    """Return ``0-4, 7`` for the seeds 0, 1, 2, 3, 4 and 7."""
    spans: list[list[int]] = []
    for seed in sorted(seeds):
        if spans and spans[-1][1] == seed - 1:
            spans[-1][1] = seed
        else:
            spans.append([seed, seed])
    return ", ".join(f"{a}-{b}" if a < b else f"{a}" for a, b in spans)


def run_summary(seeds: Sequence[FinishedSeed], run_dir: Path) -> dict[str, Any]:
    """Return the JSON-ready content of ``summary.json``.

    Standard deviations have ddof 1; they are null for one seed. ``seconds_per_epoch``
    is the mean over seeds of the training time per epoch. It includes the adversary's
    pass and excludes evaluation and each seed's first epoch.
    """
    config, records = seeds[0].config, [seed.outcome for seed in seeds]
    seconds = [s for r in records if (s := r.seconds_per_epoch) is not None]
    return {
        "model": config.model.name,
        "loss": config.loss.name,
        "data": config.data.name,
        "seeds": [seed.seed for seed in seeds],
        "metrics": {
            name: mean_and_std([seed.value(name) for seed in seeds])
            for name in records[0].metrics
        },
        "best_epoch": [r.best_epoch for r in records],
        "epochs": [r.epochs for r in records],
        "seconds_per_epoch": statistics.fmean(seconds) if seconds else None,
        "wall_seconds": sum(r.wall_seconds for r in records),
        "peak_rss_mb": max(r.peak_rss_mb for r in records),
        "device": records[0].device,
        "config": config.model_dump(mode="json", exclude_none=True),
        "run_dir": str(run_dir),
    }


def mean_and_std(values: Sequence[float | None]) -> dict[str, Any]:
    """Return mean, standard deviation and values; None if a value is missing."""
    known = [v for v in values if v is not None]
    complete = len(known) == len(values)
    return {
        "mean": statistics.fmean(known) if complete else None,
        "std": statistics.stdev(known) if complete and len(known) > 1 else None,
        "values": list(values),
    }


def mean_and_std_text(value: Mapping[str, Any]) -> str:
    """Return mean and standard deviation of :func:`mean_and_std` in four digits."""
    mean, std = value["mean"], value["std"]
    if mean is None:
        return "nan"
    return f"{mean:.4f}" if std is None else f"{mean:.4f} ± {std:.4f}"
