"""What a finished run has left on disk."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyg_advinfonce.config import Config
from pyg_advinfonce.errors import CheckpointError
from pyg_advinfonce.registry import unknown
from pyg_advinfonce.run_folder import seed_folders

TIMES = ("seconds_per_epoch", "wall_seconds")


@dataclass(frozen=True)
class FinishedSeed:
    """One trained seed of a run.

    Attributes:
        folder: Where it lies.
        config: What was trained.
        record: The content of ``metrics.json``.
    """

    folder: Path
    config: Config
    record: dict[str, Any]

    @property
    def seed(self) -> int:
        """The seed."""
        return self.config.train.seed

    @property
    def fingerprint(self) -> str:
        """The data, in one line."""
        return str(self.record["data"])

    def value(self, metric: str) -> float | None:
        """Return a metric, or a time of ``TIMES``; None where it was not finite.

        Raises:
            UnknownNameError: If the run does not know the metric.
        """
        values: dict[str, float | None] = {n: self.record.get(n) for n in TIMES}
        values |= self.record["metrics"]
        if metric not in values:
            raise unknown("metric", metric, self.record["metrics"])
        return values[metric]


def read_seed(folder: Path) -> FinishedSeed:
    """Read what one trained seed has left in its folder.

    Raises:
        CheckpointError: If it is not finished, or damaged.
    """
    file = folder / "metrics.json"
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        reason = f"{folder} holds no finished run, no {file.name}"
        raise CheckpointError(reason) from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} is damaged: {error}") from error
    if not isinstance(record, dict) or not {"metrics", "data"} <= record.keys():
        raise CheckpointError(f"{file} is damaged: not the metrics of a run")
    return FinishedSeed(folder, Config.load(folder / "config.toml"), record)


def read_run(folder: Path) -> list[FinishedSeed]:
    """Read all seeds of a run, or the one that the folder is of.

    Raises:
        CheckpointError: If it holds none, or one that is not finished.
    """
    return [read_seed(seed) for seed in seed_folders(folder)]
