"""One call of ``advnce train``: its seeds, its folder, what it prints."""

import json
import re
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch
import typer

from pyg_advinfonce.config import Config, Sections, parse_assignment, read_toml
from pyg_advinfonce.datasets.base import Dataset
from pyg_advinfonce.datasets.load import load_dataset
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.experiment import Result, check, find_device, train
from pyg_advinfonce.run_folder import create_run_folder
from pyg_advinfonce.summary import summarize

from .next_step import next_step
from .progress import Progress
from .table import metrics_table

MAX_SEEDS = 1000


@dataclass(frozen=True)
class Plan:
    """What to train."""

    model: str
    loss: str | None
    data: str
    layers: list[Sections]
    seeds: list[int] | None
    data_root: Path
    cache_dir: Path | None
    preset: str = "default"


def parse_seeds(seed: int | None, seeds: str | None) -> list[int] | None:
    """Read ``--seed 3`` or ``--seeds 0-4,7``; None if neither was given.

    Raises:
        ConfigError: If both were given, or the text has another form.
    """
    if seed is not None and seeds is not None:
        raise ConfigError("--seed and --seeds were both given: use one of them")
    if seeds is None:
        return None if seed is None else [seed]
    part = r"\d{1,18}(-\d{1,18})?"
    if not re.fullmatch(f"{part}(,{part})*", seeds):
        raise ConfigError(f"--seeds wants 0-4 or 1,3,5 (got '{seeds}')")
    spans = [_span(part) for part in seeds.split(",")]
    number = sum(map(len, spans))
    if not 1 <= number <= MAX_SEEDS or len(set().union(*spans)) < number:
        raise ConfigError(
            f"--seeds wants 1 to {MAX_SEEDS} different seeds (got '{seeds}')"
        )
    return [seed for span in spans for seed in span]


def _span(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def layers(
    file: Path | None,
    assignments: list[str],
    epochs: int | None,
    valid_fraction: float | None,
) -> list[Sections]:
    """Return the settings of a file and of the flags, the strongest last."""
    found: list[Sections] = [read_toml(file)] if file else []
    found += [parse_assignment(text) for text in assignments]
    if epochs is not None:
        found.append({"train": {"epochs": epochs}})
    if valid_fraction is not None:
        found.append({"data": {"valid_fraction": valid_fraction}})
    return found


def run(
    plan: Plan,
    *,
    device: str,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train every seed and print the summary."""
    configs, place = _configs(plan), find_device(device)
    config = configs[0]
    dataset = load_dataset(
        config.dataset, root=plan.data_root, cache_dir=plan.cache_dir, **config.data
    )
    check(config, dataset)
    name = f"{Path(config.dataset).name}-{config.model}-{config.criterion}"
    folder = create_run_folder(out, name, overwrite=overwrite)
    _say(f"data: {dataset.fingerprint}", quiet)
    _say(f"config: {_one_line(config)}", quiet)
    results = [_train(c, dataset, place, folder, quiet) for c in configs]
    seeds = [c.train.seed for c in configs]
    summary = summarize(config, seeds, results, folder)
    text = json.dumps(summary)
    (folder / "summary.json").write_text(text + "\n", encoding="utf-8")
    if as_json:
        typer.echo(text)
        return
    typer.echo(metrics_table(summary, dataset.fingerprint))
    command = next_step("report", folder, data=config.dataset, data_root=plan.data_root)
    typer.echo(f"next        {command}")


def _configs(plan: Plan) -> list[Config]:
    """Return a configuration a seed."""
    seeded: list[Sections] = [{"train": {"seed": seed}} for seed in plan.seeds or ()]
    return [
        Config.resolve(
            plan.model,
            plan.loss,
            plan.data,
            preset=plan.preset,
            layers=[*plan.layers, last],
        )
        for last in seeded or [{}]
    ]


def _train(
    config: Config, dataset: Dataset, device: torch.device, folder: Path, quiet: bool
) -> Result:
    seed = config.train.seed
    with closing(Progress(config.train.epochs, f"seed {seed}", quiet=quiet)) as bar:
        path = folder / f"seed-{seed}"
        return train(config, dataset, device=device, out=path, callbacks=[bar])


def _one_line(config: Config) -> str:
    sections = config.model_dump(mode="json", exclude_none=True)
    parts = [
        f"{section}.{key}={value}"
        for section, keys in sections.items()
        if isinstance(keys, dict)
        for key, value in keys.items()
    ]
    return f"{config.model} + {config.criterion}: {' '.join(parts)}"


def _say(text: str, quiet: bool) -> None:
    if not quiet:
        print(text, file=sys.stderr)
