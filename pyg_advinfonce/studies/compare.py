"""Comparison of runs: differences, corrected p-values and differing settings."""

import math
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyg_advinfonce.config import Config, setting_values
from pyg_advinfonce.errors import CheckpointError, ConfigError
from pyg_advinfonce.files import without_nan
from pyg_advinfonce.registry import TOTAL_METRICS
from pyg_advinfonce.runs import (
    FinishedSeed,
    load_per_user,
    mean_and_std,
    read_run,
    seed_text,
)
from pyg_advinfonce.studies.display import main_metrics
from pyg_advinfonce.studies.significance import (
    Significance,
    holm,
    paired_bootstrap,
    paired_t_test,
)

Seeds = Sequence[FinishedSeed]

NO_SETTINGS = ("train.seed", "train.metrics", "data.name")


@dataclass(frozen=True)
class Comparison:
    """The difference of two runs in one metric.

    Attributes:
        difference: The difference of the means over seeds; NaN if a value is missing.
        by_seeds: The paired t-test over the seeds that both runs have.
        by_users: The paired bootstrap over users; a user's values are averaged over
            seeds.
    """

    difference: float
    by_seeds: Significance
    by_users: Significance


def compare(base: Seeds, other: Seeds, metric: str) -> Comparison:
    """Compare a run's seeds with those of a base run in one metric.

    Raises:
        UnknownNameError: If a run does not have the metric.
    """
    one, two = _values(base, metric), _values(other, metric)
    common = sorted(one.keys() & two.keys())
    return Comparison(
        statistics.fmean(two.values()) - statistics.fmean(one.values()),
        _by_seeds([two[s] for s in common], [one[s] for s in common]),
        _by_users(base, other, metric),
    )


def _by_seeds(first: Sequence[float], second: Sequence[float]) -> Significance:
    found = paired_t_test(first, second)
    if len(first) > 1:
        return found
    return Significance.unknown(f"{found.note}: train with --seeds 0-4")


def _values(seeds: Seeds, metric: str) -> dict[int, float]:
    found = {seed.seed: seed.value(metric) for seed in seeds}
    return {seed: math.nan if v is None else v for seed, v in found.items()}


def _by_users(base: Seeds, other: Seeds, metric: str) -> Significance:
    if (name := metric.split("/")[-1].split("@")[0]) in TOTAL_METRICS:
        return Significance.unknown(f"{name} has no value per user")
    try:
        one, two = _user_means(base, metric), _user_means(other, metric)
    except CheckpointError as error:
        return Significance.unknown(str(error))
    if not np.array_equal(one[0], two[0]):
        return Significance.unknown("the runs ranked different users")
    return paired_bootstrap(two[1], one[1])


def _user_means(seeds: Seeds, metric: str) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return the users, and for each user the metric averaged over seeds."""
    found = [load_per_user(seed.folder, metric) for seed in seeds]
    users = found[0][0]
    if not all(np.array_equal(users, other) for other, _ in found):
        run = seeds[0].folder.parent
        raise CheckpointError(f"the seeds of {run} ranked different users")
    values = np.array([value for _, value in found], np.float64)  # [seeds, users]
    return users, values.mean(axis=0)


def holm_corrected(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Return JSON-ready comparisons with raw and Holm-corrected p-values.

    The tests over seeds and those over users are corrected separately.
    """
    by_seeds = holm([comparison.by_seeds.p for comparison in comparisons])
    by_users = holm([comparison.by_users.p for comparison in comparisons])
    return [
        without_nan(
            {
                "difference": comparison.difference,
                "p_seeds": comparison.by_seeds.p,
                "p_seeds_holm": seeds,
                "p_users": comparison.by_users.p,
                "p_users_holm": users,
            }
        )
        | {"notes": _notes(comparison)}
        for comparison, seeds, users in zip(
            comparisons, by_seeds, by_users, strict=True
        )
    ]


def _notes(comparison: Comparison) -> list[str]:
    notes = {
        "by seeds": comparison.by_seeds.note,
        "by users": comparison.by_users.note,
    }
    return [f"{test}: {note}" for test, note in notes.items() if note]


def compare_runs(
    folders: Sequence[Path | str], metrics: Sequence[str] = ()
) -> dict[str, Any]:
    """Compare runs with the first; p-values are corrected over all comparisons.

    Args:
        folders: At least two runs.
        metrics: Names such as ``test/recall@20`` (default: recall and NDCG at 20 of
            every test split).

    Returns:
        A JSON-ready object with one row per run for every metric.

    Raises:
        ConfigError: If fewer than two runs are given, or their data differs.
        CheckpointError: If a folder holds no finished run.
        UnknownNameError: If a run does not have a metric.

    Warns:
        UserWarning: If the runs have different seeds.
    """
    if len(folders) < 2:
        raise ConfigError(f"compare expects at least two runs (got {len(folders)})")
    runs = [read_run(folder) for folder in folders]
    for run in runs:
        run[0].config.check_held_out(run[0].folder)
    _check_same_data(runs)
    _warn_of_seeds(runs)
    names = list(metrics) or main_metrics(runs[0][0].outcome.metrics)
    compared = iter(
        holm_corrected([compare(runs[0], run, n) for n in names for run in runs[1:]])
    )
    return {
        "data": runs[0][0].fingerprint,
        "runs": [str(folder) for folder in folders],
        "seeds": [[seed.seed for seed in run] for run in runs],
        "differing": setting_differences([run[0].config for run in runs]),
        "metrics": {
            n: [
                _mean_and_std(runs[0], n),
                *(_mean_and_std(r, n) | next(compared) for r in runs[1:]),
            ]
            for n in names
        },
    }


def _check_same_data(runs: Sequence[Seeds]) -> None:
    first = runs[0][0]
    for seed in (seed for run in runs for seed in run):
        if content_of(seed.fingerprint) != content_of(first.fingerprint):
            raise ConfigError(
                "expected runs on the same data: "
                f"{first.folder} was trained on {first.fingerprint}; "
                f"{seed.folder} on {seed.fingerprint}"
            )


def content_of(fingerprint: str) -> str:
    """Return the part of a fingerprint that identifies the content: its hash."""
    return fingerprint.rpartition("sha256 ")[2]


def _warn_of_seeds(runs: Sequence[Seeds]) -> None:
    seeds = [sorted(seed.seed for seed in run) for run in runs]
    if any(other != seeds[0] for other in seeds):
        listed = "; ".join(map(seed_text, seeds))
        warnings.warn(
            f"the runs have different seeds ({listed}): "
            "the t-test uses the seeds that both runs have",
            stacklevel=3,
        )


def _mean_and_std(run: Seeds, metric: str) -> dict[str, Any]:
    return mean_and_std([seed.value(metric) for seed in run])


def setting_differences(configs: Sequence[Config]) -> dict[str, list[Any]]:
    """Return the settings in which configurations differ, with their values.

    The seed, the data set's name and settings that every configuration leaves at the
    default are excluded. The value is None where a configuration lacks the setting.

    Args:
        configs: One configuration per run.
    """
    values = [_setting_values(config) for config in configs]
    names = dict.fromkeys(name for config in configs for name in config.flat())
    found = {
        name: [one.get(name) for one in values]
        for name in names
        if name not in NO_SETTINGS
    }
    return {k: v for k, v in found.items() if any(other != v[0] for other in v)}


def _setting_values(config: Config) -> dict[str, Any]:
    names = {"model.name": config.model.name, "loss.name": config.loss.name}
    return names | setting_values(config)
