"""Runs of a table: trained once, stored, compared with the paper."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from pyg_advinfonce.build import assemble
from pyg_advinfonce.config import Config, packaged, settings_text
from pyg_advinfonce.datasets import Dataset
from pyg_advinfonce.errors import CheckpointError, NonFiniteLossError
from pyg_advinfonce.experiment import train_seed
from pyg_advinfonce.files import locked
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.runs import (
    TIMES,
    FinishedSeed,
    find_seed,
    folder_name,
    is_same_data,
    mean_and_std,
    seed_path,
    seed_text,
)
from pyg_advinfonce.studies import compare, holm_corrected
from pyg_advinfonce.studies.paper.paper_table import PaperRow, PaperTable
from pyg_advinfonce.studies.paper.request import Request

Measurement = dict[str, Any]

ABSOLUTE = {"coat": 0.01}  # the data set is small
RELATIVE = 0.03
ROUNDING = 1e-9
NOTHING: Measurement = {"mean": None, "std": None, "values": []}


def run_folder(root: Path, config: Config, fingerprint: str) -> Path:
    """Return a run's folder, one per settings and data.

    Args:
        root: The folder of all runs.
        config: The run's configuration; its seed has no effect.
        fingerprint: The fingerprint of the data.
    """
    settings = config.flat()
    settings.pop("train.seed")
    text = json.dumps([settings, fingerprint], sort_keys=True)
    digest = sha256(text.encode()).hexdigest()[:10]
    return root / f"{folder_name(config.title)}-{digest}"


def stored_seed(folder: Path, config: Config, fingerprint: str) -> FinishedSeed | None:
    """Return a finished seed of these settings and data, or None."""
    try:
        return find_seed(seed_path(folder, config.train.seed), config, fingerprint)
    except CheckpointError:
        return None


def make_seed(
    folder: Path,
    config: Config,
    dataset: Dataset,
    *,
    progress: Progress = Progress(),
    **options: Any,  # noqa: ANN401
) -> FinishedSeed:
    """Train or resume a run's seed; wait for another process that trains it.

    Raises:
        NonFiniteLossError: If loss or gradient becomes NaN or infinite.
    """
    seed = seed_path(folder, config.train.seed)
    folder.mkdir(parents=True, exist_ok=True)
    waiting = f"waiting for another process that trains {seed}"
    lock = folder / f".{seed.name}.lock"
    with locked(lock, waiting=waiting, progress=progress):
        try:
            return train_seed(config, dataset, seed, progress=progress, **options)
        except CheckpointError:  # the seed cannot be resumed
            shutil.rmtree(seed)
            return train_seed(config, dataset, seed, progress=progress, **options)


@dataclass
class TableRow:
    """A row on a data set, with its finished seeds.

    Attributes:
        paper_row: The paper's row.
        data: The data set's name.
        config: The configuration, of any seed.
        dataset: The data, None if it is missing.
        metrics: The metrics of the row.
        seeds: The finished seeds.
        reason: Why seeds are missing and what to do; else empty.
        failed: Whether training failed.
    """

    paper_row: PaperRow
    data: str
    config: Config
    dataset: Dataset | None
    metrics: Sequence[str]
    seeds: list[FinishedSeed] = field(default_factory=list)
    reason: str = ""
    failed: bool = False

    @property
    def name(self) -> str:
        """The names of data set and row as text, e.g. ``coat: MF + InfoNCE``."""
        return f"{self.data}: {self.paper_row.label}"

    @property
    def settings(self) -> str:
        """The settings in one line, and their source."""
        chosen = self.config.chosen.items()
        shown = {name: value for name, value in chosen if name != "train.seed"}
        source = (
            "" if self.is_packaged else " (no packaged settings: the model's defaults)"
        )
        what = f"{self.config.pair}{source}"
        return f"{what}: {settings_text(shown)}"

    def config_of(self, seed: int) -> Config:
        """Return the configuration of a seed."""
        return self.config.updated({"train": {"seed": seed}})

    @property
    def is_packaged(self) -> bool:
        """Whether settings for this model, loss and data come with this package."""
        config = self.config
        return bool(packaged(config.data.name, config.model.name, config.loss.name))


def check_settings(row: TableRow, request: Request) -> None:
    """Assemble a row's trainer, unless all its seeds are finished.

    The trainer is discarded: the trainers of all rows would not fit into memory.

    Raises:
        ConfigError: If an option is wrong, or the memory is too small.
    """
    if row.dataset is not None and None in _find(row, row.dataset, request).values():
        assemble(row.config, row.dataset, device=request.device)


def train_missing(row: TableRow, request: Request, progress: Progress) -> None:
    """Find the seeds of a row; train missing seeds unless ``request.check``.

    Args:
        row: The row.
        request: The seeds, their folder and the device.
        progress: Receives every seed.
    """
    if row.dataset is None:
        return
    found = _find(row, row.dataset, request)
    missing = [seed for seed, run in found.items() if run is None]
    progress.say(f"{row.name}, {_state(found)}; {row.settings}")
    others = [s.folder for s in found.values() if s in request.elsewhere]
    for folder in dict.fromkeys(folder.parent for folder in others):
        progress.say(f"{row.name}: finished seeds of {folder} are used")
    if missing and request.check:
        seeds = seed_text(missing)
        row.reason = f"seeds {seeds} are not trained: run without --check"
    for seed in () if request.check else missing:
        found[seed] = _train(row, row.dataset, seed, request, progress)
    row.seeds = [seed for seed in found.values() if seed is not None]


def _find(
    row: TableRow, dataset: Dataset, request: Request
) -> dict[int, FinishedSeed | None]:
    """Return the finished seeds of a row, those of other runs included."""
    folder = run_folder(request.runs, row.config, dataset.fingerprint)
    found = {
        seed: stored_seed(folder, row.config_of(seed), dataset.fingerprint)
        for seed in request.seeds
    }
    for seed in [seed for seed, run in found.items() if run is None]:
        config = row.config_of(seed).fitted_to(dataset)
        same = (run for run in request.elsewhere if run.config == config)
        found[seed] = next(
            (run for run in same if is_same_data(run.fingerprint, dataset.fingerprint)),
            None,
        )
    return found


def _state(found: dict[int, FinishedSeed | None]) -> str:
    stored = [seed for seed, run in found.items() if run is not None]
    missing = found.keys() - set(stored)
    return ", ".join(
        f"seeds {seed_text(seeds)} {word}"
        for seeds, word in ((stored, "finished"), (missing, "missing"))
        if seeds
    )


def _train(
    row: TableRow, dataset: Dataset, seed: int, request: Request, progress: Progress
) -> FinishedSeed | None:
    """Train a seed; note a failure in the row, so that other seeds go on."""
    folder = run_folder(request.runs, row.config, dataset.fingerprint)
    try:
        return make_seed(
            folder,
            row.config_of(seed),
            dataset,
            progress=progress,
            label=f"{row.name}, seed {seed}",
            device=request.device,
        )
    except NonFiniteLossError as error:
        reason = f"seed {seed}: {error}"
        row.reason = "; ".join(filter(None, [row.reason, reason]))
        row.failed = True
        return None


def make_measurements(table: PaperTable, rows: Sequence[TableRow]) -> list[Measurement]:
    """Return one JSON-ready object per row and metric.

    ``off`` is the relative difference from the paper. ``within`` tells whether the
    difference is within the tolerance (docs/methods.md 7: 0.01 on Coat, else 3 %); it
    is None if the number is not compared. ``ratio`` and ``paper_ratio`` are relative to
    the baseline. The keys of :func:`~pyg_advinfonce.studies.holm_corrected` describe
    the difference from the baseline, corrected over the whole table.
    """
    measurements = {
        (i, m): _measurement(row, m) for i, row in enumerate(rows) for m in row.metrics
    }
    pairs = [(i, j, m) for i, j in _bases(table, rows) for m in rows[i].metrics]
    for i, j, metric in pairs:
        measurements[i, metric] |= _ratios(
            measurements[i, metric], measurements[j, metric]
        )
    tested = [(i, j, m) for i, j, m in pairs if _is_tested(rows[i], rows[j], m)]
    found = holm_corrected(
        [compare(rows[j].seeds, rows[i].seeds, m) for i, j, m in tested]
    )
    for (i, _, metric), comparison in zip(tested, found, strict=True):
        measurements[i, metric] |= comparison
    return list(measurements.values())


def _measurement(row: TableRow, metric: str) -> Measurement:
    values = (
        mean_and_std([s.value(metric) for s in row.seeds]) if row.seeds else NOTHING
    )
    paper = row.paper_row.numbers.get(row.data, {}).get(metric)
    return {
        "data": row.data,
        "row": row.paper_row.label,
        "model": row.paper_row.model,
        "loss": row.paper_row.loss,
        "metric": metric,
        "seeds": [seed.seed for seed in row.seeds],
        **values,
        "paper": paper,
        "off": _ratio(values["mean"], paper, 1.0),
        "within": _within(row, metric, values["mean"], paper),
    }


def _within(
    row: TableRow, metric: str, mean: float | None, paper: float | None
) -> bool | None:
    if paper is None or metric in TIMES or not row.seeds:
        return None
    tolerance = ABSOLUTE.get(row.data, RELATIVE * paper)
    return mean is not None and abs(mean - paper) <= tolerance + ROUNDING


def _bases(table: PaperTable, rows: Sequence[TableRow]) -> list[tuple[int, int]]:
    """Return the indices of rows with a baseline and of their baselines."""
    places = {(row.data, id(row.paper_row)): i for i, row in enumerate(rows)}
    bases = [table.baseline(row.paper_row) for row in rows]
    return [
        (i, places[row.data, id(base)])
        for i, (row, base) in enumerate(zip(rows, bases, strict=True))
        if base is not None
    ]


def _ratios(measurement: Measurement, base: Measurement) -> Measurement:
    return {
        "ratio": _ratio(measurement["mean"], base["mean"]),
        "paper_ratio": _ratio(measurement["paper"], base["paper"]),
    }


def _ratio(value: float | None, base: float | None, minus: float = 0.0) -> float | None:
    return None if value is None or not base else value / base - minus


def _is_tested(row: TableRow, base: TableRow, metric: str) -> bool:
    return bool(row.seeds and base.seeds) and metric not in TIMES
