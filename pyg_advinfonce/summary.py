"""What several seeds of one configuration say together."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyg_advinfonce.config import Config
from pyg_advinfonce.experiment import Result, finite, peak_rss_mb


def summarize(
    config: Config, seeds: Sequence[int], results: Sequence[Result], run_dir: Path
) -> dict[str, Any]:
    """Return a JSON-ready object; standard deviations have ddof 1, null for one seed.

    ``seconds_per_epoch`` is the mean over seeds of the training time of an epoch, the
    adversary's pass included, evaluation and each seed's first epoch excluded.
    """
    seconds = [r.seconds_per_epoch for r in results if r.seconds_per_epoch is not None]
    return {
        "model": config.model,
        "loss": config.criterion,
        "data": config.dataset,
        "seeds": list(seeds),
        "metrics": {
            name: spread([finite(r.metrics)[name] for r in results])
            for name in results[0].metrics
        },
        "best_epoch": [r.best_epoch for r in results],
        "epochs": [len(r.history) for r in results],
        "seconds_per_epoch": statistics.fmean(seconds) if seconds else None,
        "wall_seconds": sum(r.wall_seconds for r in results),
        "peak_rss_mb": peak_rss_mb(),
        "device": results[0].device,
        "config": config.model_dump(mode="json", exclude_none=True),
        "run_dir": str(run_dir),
    }


def spread(values: Sequence[float | None]) -> dict[str, Any]:
    """Return mean, standard deviation and the values; null where one is missing."""
    known = [v for v in values if v is not None]
    complete = len(known) == len(values)
    return {
        "mean": statistics.fmean(known) if complete else None,
        "std": statistics.stdev(known) if complete and len(known) > 1 else None,
        "values": list(values),
    }


def spread_text(value: Mapping[str, Any]) -> str:
    """Return mean and standard deviation of :func:`spread` in four digits."""
    mean, std = value["mean"], value["std"]
    if mean is None:
        return "nan"
    return f"{mean:.4f}" if std is None else f"{mean:.4f} ± {std:.4f}"
