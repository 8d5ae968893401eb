"""One row of a table on one data set: what it is, and its runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyg_advinfonce.config import Config, packaged
from pyg_advinfonce.datasets.base import Dataset
from pyg_advinfonce.errors import NonFiniteLossError
from pyg_advinfonce.finished import FinishedSeed
from pyg_advinfonce.reproduction.paper_table import PaperRow
from pyg_advinfonce.reproduction.request import Request, Watcher
from pyg_advinfonce.reproduction.run_store import find_seed, run_folder, train_seed
from pyg_advinfonce.seed_text import seed_text


@dataclass
class Line:
    """A row on a data set, and its runs as far as they are there.

    Attributes:
        row: The paper's row.
        data: The data set's name.
        config: The configuration, of any seed.
        dataset: The data, None if it is missing.
        metrics: What is shown.
        seeds: The finished seeds.
        reason: Why there are no or not all seeds, and what to do; else empty.
        failed: Whether training failed.
    """

    row: PaperRow
    data: str
    config: Config
    dataset: Dataset | None
    metrics: Sequence[str]
    seeds: list[FinishedSeed] = field(default_factory=list)
    reason: str = ""
    failed: bool = False

    @property
    def name(self) -> str:
        """The row's name for a person."""
        return f"{self.data}: {self.row.label}"

    @property
    def settings(self) -> str:
        """What is set, in one line, and where it comes from."""
        keys = self.config.flat()
        text = " ".join(
            f"{k}={v}" for k, v in keys.items() if "." in k and k != "train.seed"
        )
        source = (
            "" if self.is_packaged else " (no packaged settings: the method's defaults)"
        )
        return f"{self.config.model} + {self.config.criterion}{source}: {text}"

    @property
    def is_packaged(self) -> bool:
        """Whether settings for this model, loss and data come with this package."""
        config = self.config
        return bool(packaged(config.dataset, config.model, config.criterion))


def fill(line: Line, request: Request, watcher: Watcher) -> None:
    """Find the seeds of a line and, unless it is a check, train what is missing.

    Args:
        line: The line.
        request: Says which seeds, where they are kept and where to train.
        watcher: Told of every seed.
    """
    if line.dataset is None:
        return
    fingerprint = line.dataset.fingerprint
    folder = run_folder(request.runs, line.config, fingerprint)
    configs = [line.config.updated({"train": {"seed": s}}) for s in request.seeds]
    found = {c.train.seed: find_seed(folder, c, fingerprint) for c in configs}
    missing = [c for c in configs if found[c.train.seed] is None]
    watcher.say(f"{line.name}, {_state(found)}; {line.settings}")
    if missing and request.check:
        seeds = seed_text(c.train.seed for c in missing)
        line.reason = f"no run of seeds {seeds}: train it without --check"
    for config in () if request.check else missing:
        found[config.train.seed] = _train(line, folder, config, request, watcher)
    line.seeds = [seed for seed in found.values() if seed is not None]


def _state(found: dict[int, FinishedSeed | None]) -> str:
    there = [seed for seed, run in found.items() if run is not None]
    missing = found.keys() - set(there)
    return ", ".join(
        f"seeds {seed_text(seeds)} {word}"
        for seeds, word in ((there, "are there"), (missing, "missing"))
        if seeds
    )


def _train(
    line: Line, folder: Path, config: Config, request: Request, watcher: Watcher
) -> FinishedSeed | None:
    """Train a seed; if that fails, say so on the line: the others go on."""
    assert line.dataset is not None
    label = f"{line.name}, seed {config.train.seed}"
    callbacks = watcher.start(label, config)
    try:
        return train_seed(
            folder, config, line.dataset, device=request.device, callbacks=callbacks
        )
    except NonFiniteLossError as error:
        reason = f"seed {config.train.seed}: {error}"
        line.reason = "; ".join(filter(None, [line.reason, reason]))
        line.failed = True
        return None
    finally:
        watcher.finish()
