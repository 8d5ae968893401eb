"""The seeds of one run, one after the other."""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import torch
import typer

from pyg_advinfonce.check_data import check_data
from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets.base import Dataset
from pyg_advinfonce.experiment import train
from pyg_advinfonce.finished import FinishedSeed, read_seed
from pyg_advinfonce.run_lock import run_lock
from pyg_advinfonce.seed_folder import STATE
from pyg_advinfonce.summary import summarize
from pyg_advinfonce.training.state_file import read_state
from pyg_advinfonce.training.tracker import Tracker
from pyg_advinfonce.training.trainer import Trainer
from pyg_advinfonce.whole_file import write_text

from .next_step import next_step
from .progress import Progress
from .table import metrics_table


@dataclass(frozen=True)
class SeedLoop:
    """Trains what is not yet trained of a run, then prints all of it.

    Attributes:
        folder: The run's folder.
        dataset: The data.
        data_root: Where data sets lie, for the commands that are suggested.
        device: What to train on.
        is_auto: Whether nobody named it.
        save_every: As for :func:`~pyg_advinfonce.experiment.train`.
        tracker: Makes a tracker of a seed's folder.
        resume: Go on from what is in the folder.
        force: As for :func:`~pyg_advinfonce.experiment.train`.
        as_json: Print one JSON object.
        quiet: Print nothing but the result.
        ready: The first seed's trainer, if there is one already; it is taken out.
    """

    folder: Path
    dataset: Dataset
    data_root: Path
    device: torch.device
    is_auto: bool = False
    save_every: int | None = None
    tracker: Callable[[Path], Tracker] | None = None
    resume: bool = False
    force: bool = False
    as_json: bool = False
    quiet: bool = False
    ready: list[Trainer] = field(default_factory=list)

    def run(self, configs: Sequence[Config]) -> None:
        """Train a configuration a seed and print the summary.

        Raises:
            ConfigError: If another process is training this run.
        """
        with run_lock(self.folder):
            self._run(configs)

    def _run(self, configs: Sequence[Config]) -> None:
        self._note(configs)
        try:
            self.say(f"data: {self.dataset.fingerprint}")
            self.say(f"config: {_one_line(configs[0])}")
            if self.is_auto and self.device.type == "cpu":
                self.say("device: cpu, as no CUDA device is there")
            seeds = [self._seed(config) for config in configs]
        except KeyboardInterrupt:
            words = ["train", "--resume", self.folder, *self._machine()]
            print(f"to go on: {self._next(*words, of=configs[0])}", file=sys.stderr)
            raise
        self._print(seeds)

    def say(self, text: str) -> None:
        """Tell a person what happens."""
        if not self.quiet:
            print(text, file=sys.stderr)

    def _note(self, configs: Sequence[Config]) -> None:
        """Write down what an interrupted run would still have to train."""
        for config in configs:
            file = self._seed_folder(config) / "config.toml"
            if not file.is_file():
                file.parent.mkdir(exist_ok=True)
                config.save(file)

    def _seed(self, config: Config) -> FinishedSeed:
        return self._finished(config) or self._train(config)

    def _finished(self, config: Config) -> FinishedSeed | None:
        """Return a seed that an earlier call has finished with these settings.

        Raises:
            CheckpointError: If it was trained on other data.
        """
        folder = self._seed_folder(config)
        if not self.resume or not (folder / "metrics.json").is_file():
            return None
        found = read_seed(folder)
        check_data(folder, found.fingerprint, self.dataset.fingerprint)
        if found.config != config:
            return None
        self.say(f"seed {found.seed}: finished before")
        return found

    def _train(self, config: Config) -> FinishedSeed:
        folder, label = self._seed_folder(config), f"seed {config.train.seed}"
        if self.resume and (folder / STATE).is_file():
            self.say(f"{label}: goes on after epoch {_last_epoch(folder)}")
        told: list[Progress | Tracker] = [
            Progress(config.train.epochs, label, quiet=self.quiet)
        ]
        if self.tracker is not None:
            told.append(self.tracker(folder))
        with ExitStack() as stack:
            for callback in told:
                stack.enter_context(closing(callback))
            train(
                config,
                self.dataset,
                device=self.device,
                out=folder,
                callbacks=told,
                resume=self.resume,
                force=self.force,
                save_every=self.save_every,
                trainer=self.ready.pop() if self.ready else None,
            )
        return read_seed(folder)

    def _print(self, seeds: Sequence[FinishedSeed]) -> None:
        summary = summarize(seeds, self.folder)
        text = json.dumps(summary)
        write_text(self.folder / "summary.json", text + "\n")
        if self.as_json:
            typer.echo(text)
            return
        typer.echo(metrics_table(summary, self.dataset.fingerprint))
        command = self._next("report", self.folder, of=seeds[0].config)
        typer.echo(f"next        {command}")

    def _machine(self) -> list[object]:
        """Return the flags that make the rest of a training what it would have been."""
        device = [] if self.is_auto else ["--device", self.device]
        exact = torch.are_deterministic_algorithms_enabled()
        return [*device, *(["--deterministic"] if exact else [])]

    def _next(self, *words: object, of: Config) -> str:
        return next_step(*words, data=of.dataset, data_root=self.data_root)

    def _seed_folder(self, config: Config) -> Path:
        return self.folder / f"seed-{config.train.seed}"


def _last_epoch(folder: Path) -> int:
    """Return the last epoch of a saved training state."""
    return len(read_state(folder / STATE)[0].about["history"]) - 1


def _one_line(config: Config) -> str:
    sections = config.model_dump(exclude_none=True)
    parts = [
        f"{section}.{key}={value}"
        for section, keys in sections.items()
        if isinstance(keys, dict)
        for key, value in keys.items()
    ]
    return f"{config.model} + {config.criterion}: {' '.join(parts)}"
