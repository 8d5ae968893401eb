"""One call of ``advnce train``: what it is to train, and where."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from pyg_advinfonce.assemble import assemble
from pyg_advinfonce.config import Config, Sections, parse_assignment, read_toml
from pyg_advinfonce.datasets.load import load_dataset
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.run_folder import create_run_folder

from .seed_loop import SeedLoop

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
    if not all(spans) or number > MAX_SEEDS or len(set().union(*spans)) < number:
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
    make_loop: Callable[..., SeedLoop],
    *,
    device: torch.device,
    out: Path | None,
    overwrite: bool,
) -> None:
    """Train every seed in a new folder.

    Args:
        plan: What to train.
        make_loop: Makes what trains, of the folder and the data.
        device: What to train on.
        out: The folder (default: one in ``runs``).
        overwrite: Replace the run that is there.
    """
    configs = _configs(plan)
    config = configs[0]
    dataset = load_dataset(
        config.dataset, root=plan.data_root, cache_dir=plan.cache_dir, **config.data
    )
    config = config.fitted_to(dataset)
    configs = [config.updated({"train": {"seed": c.train.seed}}) for c in configs]
    # What is wrong is known before there is a folder. The loop takes the trainer out of
    # the list, lest it stays in memory beside the next seed's.
    ready = [assemble(config, dataset, device=device)]
    name = f"{Path(config.dataset).name}-{config.model}-{config.criterion}"
    folder = create_run_folder(out, name, overwrite=overwrite)
    make_loop(folder, dataset, ready=ready).run(configs)


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
