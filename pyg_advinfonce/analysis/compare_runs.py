"""Any runs in one table, the first the base."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyg_advinfonce.analysis.compare import Seeds, compare
from pyg_advinfonce.analysis.corrected import corrected
from pyg_advinfonce.analysis.differing import differing
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.finished import read_run
from pyg_advinfonce.seed_text import seed_text
from pyg_advinfonce.summary import spread

DEFAULT = ("recall@20", "ndcg@20")


def compare_runs(
    folders: Sequence[Path], metrics: Sequence[str] = ()
) -> dict[str, Any]:
    """Compare runs with the first of them, p-values corrected over all comparisons.

    Warns if the runs have not the same seeds.

    Args:
        folders: Two runs or more.
        metrics: ``test/recall@20`` and so on (default: recall and NDCG at 20 of every
            test split).

    Returns:
        A JSON-ready object with a row a run for every metric.

    Raises:
        ConfigError: If there are fewer than two runs, or they saw other data.
        CheckpointError: If a folder holds no finished run.
        UnknownNameError: If a run does not know a metric.
    """
    if len(folders) < 2:
        raise ConfigError(f"compare wants two runs or more (got {len(folders)})")
    runs = [read_run(folder) for folder in folders]
    _check_same_data(runs)
    _warn_of_seeds(runs)
    names = list(metrics) or _default_metrics(runs[0])
    compared = iter(
        corrected([compare(runs[0], run, n) for n in names for run in runs[1:]])
    )
    return {
        "data": runs[0][0].fingerprint,
        "runs": [str(folder) for folder in folders],
        "seeds": [[seed.seed for seed in run] for run in runs],
        "differing": _differing([run[0] for run in runs]),
        "metrics": {
            n: [
                _spread(runs[0], n),
                *(_spread(r, n) | next(compared) for r in runs[1:]),
            ]
            for n in names
        },
    }


def content_of(fingerprint: str) -> str:
    """Return the part of a fingerprint that tells the content: its hash."""
    return fingerprint.rpartition("sha256 ")[2]


def _check_same_data(runs: Sequence[Seeds]) -> None:
    first = runs[0][0]
    for seed in (seed for run in runs for seed in run):
        if content_of(seed.fingerprint) != content_of(first.fingerprint):
            raise ConfigError(
                "runs on other data cannot be compared: "
                f"{first.folder} saw {first.fingerprint}; "
                f"{seed.folder} saw {seed.fingerprint}"
            )


def _differing(seeds: Seeds) -> dict[str, list[Any]]:
    """Return what tells runs apart, losses of one's own included."""
    own = [seed.record.get("own_loss") for seed in seeds]
    found = differing([seed.config for seed in seeds])
    return found | ({"own_loss": own} if any(loss != own[0] for loss in own) else {})


def _warn_of_seeds(runs: Sequence[Seeds]) -> None:
    seeds = [sorted(seed.seed for seed in run) for run in runs]
    if any(other != seeds[0] for other in seeds):
        listed = "; ".join(map(seed_text, seeds))
        warnings.warn(
            f"the runs have not the same seeds ({listed}): "
            "the t-test takes those that two have in common",
            stacklevel=3,
        )


def _default_metrics(run: Seeds) -> list[str]:
    names = run[0].record["metrics"]
    return [n for n in names if not n.startswith("valid/") and n.endswith(DEFAULT)]


def _spread(run: Seeds, metric: str) -> dict[str, Any]:
    return spread([seed.value(metric) for seed in run])
