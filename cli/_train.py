"""Training for ``advnce train``: settings, seeds, resuming and output."""

import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import typer

from pyg_advinfonce.build import assemble
from pyg_advinfonce.config import (
    Config,
    Sections,
    is_same_data_name,
    paper_numbers,
    settings_text,
)
from pyg_advinfonce.datasets import Dataset
from pyg_advinfonce.errors import CheckpointError, ConfigError
from pyg_advinfonce.experiment import train_seed
from pyg_advinfonce.files import write_text
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.ranks import from_first, is_first
from pyg_advinfonce.runs import (
    CONFIG,
    SUMMARY,
    FinishedSeed,
    check_data,
    check_settings,
    create_run_folder,
    epoch_text,
    load_data,
    run_lock,
    run_summary,
    seed_folders,
    seed_path,
)
from pyg_advinfonce.training import Tracker, Trainer

from ._plan import Plan, Saved
from .console import fitted, next_step, on_screen, split_rows


@dataclass(frozen=True)
class SeedLoop:
    """Trains the missing seeds of a run, then prints the summary of all.

    Attributes:
        folder: The run's folder.
        dataset: The data.
        data_root: The folder of the data sets, for the suggested commands.
        device: The device.
        is_auto: Whether the device was chosen automatically.
        save_every: As for :func:`~pyg_advinfonce.experiment.train`.
        tracker: Function that makes a tracker from a seed's folder and settings.
        force: As for :func:`~pyg_advinfonce.experiment.train`.
        custom: The custom model and loss, by section.
        as_json: Print one JSON object.
        progress: Receives messages and epochs.
        ready: A list that holds the first seed's trainer, or nothing. The loop removes
            the trainer from the list.
    """

    folder: Path
    dataset: Dataset
    data_root: Path
    device: torch.device
    is_auto: bool = False
    save_every: int | None = None
    tracker: Callable[[Path, Mapping[str, Any]], Tracker] | None = None
    force: bool = False
    custom: Mapping[str, Any] = field(default_factory=dict)
    as_json: bool = False
    progress: Progress = Progress()
    ready: list[Trainer] = field(default_factory=list)

    def run(self, configs: Sequence[Config]) -> None:
        """Train one configuration per seed and print the summary.

        Raises:
            ConfigError: If another process is training this run.
        """
        with ExitStack() as stack:
            from_first(lambda: stack.enter_context(run_lock(self.folder)))
            self._run(configs)

    def _run(self, configs: Sequence[Config]) -> None:
        from_first(lambda: self._note(configs))
        try:
            self.progress.say(f"data: {self.dataset.fingerprint}")
            self.progress.say(f"config: {_one_line(configs[0])}")
            if self.is_auto and self.device.type == "cpu":
                self.progress.say("device: cpu, no CUDA device is available")
            labels = _labels([config.train.seed for config in configs])
            seeds = [
                self._seed(config, label)
                for config, label in zip(configs, labels, strict=True)
            ]
        except KeyboardInterrupt:
            named = _custom_words(configs[0])
            words = ["train", *named, "--resume", self.folder, *self._machine()]
            print(f"to resume: {self._next(*words, of=configs[0])}", file=sys.stderr)
            raise
        from_first(lambda: self._print(seeds))

    def _note(self, configs: Sequence[Config]) -> None:
        """Save all configurations, so that an interrupted run can be resumed."""
        for config in configs:
            file = self._seed_folder(config) / CONFIG
            if not file.is_file():
                file.parent.mkdir(exist_ok=True)
                config.save(file)

    def _seed(self, config: Config, label: str) -> FinishedSeed:
        folder = self._seed_folder(config)
        with ExitStack() as stack:
            make, settings = self.tracker if is_first() else None, config.flat()
            trackers = [] if make is None else [make(folder, settings)]
            for tracker in trackers:
                stack.enter_context(closing(tracker))
            found = train_seed(
                config,
                self.dataset,
                folder,
                progress=self.progress,
                label=label,
                callbacks=trackers,
                device=self.device,
                force=self.force,
                save_every=self.save_every,
                trainer=self.ready.pop() if self.ready else None,
                **self.custom,
            )
            for tracker in trackers:
                tracker.on_result(found.outcome.metrics)
            return found

    def _print(self, seeds: Sequence[FinishedSeed]) -> None:
        summary = run_summary(seeds, self.folder)
        text = json.dumps(summary)
        write_text(self.folder / SUMMARY, text + "\n")
        if self.as_json:
            typer.echo(text)
            return
        typer.echo(metrics_table(summary, self.dataset.fingerprint))
        config = seeds[0].config
        run = self.folder if len(seeds) == 1 else seeds[0].folder
        words = ["recommend", run, "--users", "all"]
        if not config.train.refit:
            words = ["report", self.folder]
        command = self._next(*words, of=config)
        if words[0] == "report" and find_spec("matplotlib") is None:
            command = shlex.join(["advnce", "show", str(self.folder)])
        typer.echo(f"next        {command}")

    def _machine(self) -> list[object]:
        """Return the flags without which resuming would change the result."""
        device = [] if self.is_auto else ["--device", self.device]
        exact = torch.are_deterministic_algorithms_enabled()
        return [*device, *(["--deterministic"] if exact else [])]

    def _next(self, *words: object, of: Config) -> str:
        return next_step(*words, data=of.data.name, data_root=self.data_root)

    def _seed_folder(self, config: Config) -> Path:
        return seed_path(self.folder, config.train.seed)


def _labels(seeds: Sequence[int]) -> list[str]:
    """Return a name per seed, with its place among several."""
    number = len(seeds)
    if number == 1:
        return [f"seed {seeds[0]}"]
    return [f"seed {seed} ({i} of {number})" for i, seed in enumerate(seeds, 1)]


def _one_line(config: Config) -> str:
    return f"{config.pair}: {settings_text(config.chosen)}"


def run(
    plan: Plan,
    make_loop: Callable[..., SeedLoop],
    *,
    device: torch.device,
    out: Path | None,
    overwrite: bool,
) -> None:
    """Train every seed in a new folder.

    Args:
        plan: Names and settings.
        make_loop: Function that makes the loop from folder and data.
        device: The device.
        out: The folder (default: one in ``runs``).
        overwrite: Replace the existing run.
    """
    seeded: list[Sections] = [{"train": {"seed": seed}} for seed in plan.seeds or ()]
    configs = [plan.resolve(last) for last in seeded or [{}]]
    config = configs[0]
    dataset = config.load_dataset(plan.data_root, plan.cache_dir)
    config = config.fitted_to(dataset)
    configs = [config.updated({"train": {"seed": c.train.seed}}) for c in configs]
    # Errors come before the folder is made. The loop removes the trainer from the list,
    # so that it does not stay in memory beside the next seed's.
    ready = [assemble(config, dataset, device=device, **plan.custom)]
    title = config.title
    folder = from_first(lambda: create_run_folder(out, title, overwrite=overwrite))
    make_loop(folder, dataset, ready=ready).run(configs)


@dataclass(frozen=True)
class Again:
    """What a command says about an existing run that it trains.

    Attributes:
        names: Model, loss and data, if the command repeats them.
        layers: Settings.
        make_loop: Function that makes the loop from folder and data.
        data_root: The folder of the data sets.
        cache_dir: The folder of processed data.
    """

    names: Mapping[str, str]
    layers: Sequence[Sections]
    make_loop: Callable[..., SeedLoop]
    data_root: Path
    cache_dir: Path | None

    def load_dataset(self, folder: Path, config: Config) -> Dataset:
        """Load the data of a seed in a folder."""
        return load_data(folder, config, self.data_root, self.cache_dir)


def resume(run: Path, saved: Saved, again: Again, *, force: bool) -> None:
    """Train the unfinished seeds of a run and print its summary.

    Args:
        run: The run's folder, or the folder of one of its seeds.
        saved: What the folder holds.
        again: The command's names, and settings that it repeats, or changes with
            ``force``.
        force: Accept other values of settings that only decide when training ends.

    Raises:
        CheckpointError: If the run has other settings.
    """
    names, layers = again.names, again.layers
    configs = [_changed(config, names, layers, force=force) for config in saved.configs]
    _check_alike(configs)
    _check_named(configs[0], names, "--resume", run)
    dataset = again.load_dataset(seed_folders(run)[0], configs[0])
    again.make_loop(saved.folder, dataset, force=force).run(configs)


def refit(
    run: Path,
    seeds: Sequence[FinishedSeed],
    again: Again,
    *,
    out: Path | None,
    overwrite: bool,
) -> None:
    """Train every seed of a run again, on the pairs of all splits, in a new folder.

    Args:
        run: The run's folder, or the folder of one of its seeds.
        seeds: The run's seeds.
        again: The command's names; it must have no settings.
        out: The folder (default: one in ``runs``, named after the run).
        overwrite: Replace the existing run.

    Raises:
        CheckpointError: If the run's data has changed, or the command has other names.
        ConfigError: If the command has settings, or the run was trained on all splits
            itself.
    """
    if any(section for layer in again.layers for section in layer.values()):
        raise ConfigError(
            "--refit keeps the run's settings and trains for as many epochs as "
            "validation chose: remove the other settings"
        )
    for seed in seeds:
        _changed(seed.config, again.names, [], force=False)
    configs = [seed.refit_config() for seed in seeds]
    _check_named(configs[0], again.names, "--refit", run)
    dataset = again.load_dataset(seeds[0].folder, configs[0])
    check_data(run, seeds[0].fingerprint, dataset.fingerprint)
    if out is not None and out.resolve() == run.resolve():
        raise ConfigError(
            f"{run} would be replaced by its refit, without the metrics that it has: "
            "choose another --out"
        )
    name = f"{run.resolve().name}-refit"
    folder = from_first(lambda: create_run_folder(out, name, overwrite=overwrite))
    again.make_loop(folder, dataset).run(configs)


def _check_alike(configs: Sequence[Config]) -> None:
    """Refuse seeds of different settings, which an earlier --force may have left."""
    for config in configs[1:]:
        first = configs[0].updated({"train": {"seed": config.train.seed}})
        if config != first:
            raise CheckpointError(
                f"the seeds differ in their settings (train.epochs "
                f"{configs[0].train.epochs} and {config.train.epochs}, train.patience "
                f"{configs[0].train.patience} and {config.train.patience}): set "
                "them for all seeds and add --force"
            )


def _check_named(
    config: Config, names: Mapping[str, str], option: str, run: Path
) -> None:
    """Refuse to train custom code that the command does not name."""
    if not set(config.custom) <= set(names):
        command = shlex.join(
            ["advnce", "train", *_custom_words(config), option, str(run)]
        )
        raise ConfigError(
            f"the run trains custom code, {config.pair}, which a run's files cannot "
            f"import; if you trust it, name it again: {command}"
        )


def _custom_words(config: Config) -> list[str]:
    """Return the custom names that a command repeats, since files are not trusted."""
    model = [config.model.name] if "model" in config.custom else []
    loss = ["--loss", config.loss.name] if "loss" in config.custom else []
    return [*model, *loss]


def _changed(
    saved: Config, names: Mapping[str, str], layers: Sequence[Sections], *, force: bool
) -> Config:
    """Return a seed's settings, updated and checked."""
    named = {
        section: getattr(saved, section).model_copy(update={"name": name})
        for section, name in names.items()
        if section != "data" or not is_same_data_name(name, saved.data.name)
    }
    config = saved.model_copy(update=named)
    for layer in layers:
        config = config.updated(layer)
    check_settings(saved.flat(), config, force=force)
    return config


def metrics_table(summary: Mapping[str, Any], fingerprint: str) -> str:
    """Return the metrics by split, the paper's numbers and the run's folder."""
    rows = split_rows(summary["metrics"])
    (_, *columns), *splits = rows
    paper = paper_numbers(Config.model_validate(summary["config"]))
    if summary["config"]["train"]["refit"]:
        return "\n".join([*_head(summary, fingerprint), "", _foot(summary)])
    for split, *_ in splits:
        known = {c: paper[f"{split}/{c}"] for c in columns if f"{split}/{c}" in paper}
        if known:
            cells = [f"{known[c]:.4f}" if c in known else "" for c in columns]
            rows.append([f"{split}, {paper.get('by', 'paper')}", *cells])
    return "\n".join(
        [*_head(summary, fingerprint), "", *fitted(rows), "", _foot(summary)]
    )


def _head(summary: Mapping[str, Any], fingerprint: str) -> list[str]:
    seeds = ", ".join(map(str, summary["seeds"]))
    head = [
        f"{summary['model']} + {summary['loss']} on {summary['device']}",
        f"data        {on_screen(fingerprint, indent=12)}",
        f"seeds       {seeds}",
    ]
    if summary["config"]["train"]["refit"]:
        counts = ", ".join(map(str, summary["epochs"]))
        return [
            *head,
            f"refit       on the pairs of all splits, {counts} epochs, not evaluated",
        ]
    epochs = zip(summary["best_epoch"], summary["epochs"], strict=True)
    best = ", ".join(epoch_text(*pair) for pair in epochs)
    rising = summary["config"]["train"]["epochs"] - 1 in summary["best_epoch"]
    untested = all(name.startswith("valid/") for name in summary["metrics"])
    return [
        *head,
        "best epoch  " + on_screen(f"{best} (by valid recall@20)", indent=12),
        *(
            ["note        the last epoch was the best: raise --epochs"]
            if rising
            else []
        ),
        *(["note        the data has no test split"] if untested else []),
    ]


def _foot(summary: Mapping[str, Any]) -> str:
    seconds = summary["seconds_per_epoch"]
    speed = "" if seconds is None else f"{seconds:.4f} s per epoch, "
    return (
        f"{speed}{summary['wall_seconds']:.1f} s in total, "
        f"{summary['peak_rss_mb']:.0f} MB peak memory\nrun         {summary['run_dir']}"
    )
