"""Names and settings of a training, checked before torch is imported."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyg_advinfonce.config import (
    Config,
    Sections,
    check_keys,
    parse_assignment,
    read_toml,
)
from pyg_advinfonce.datasets.base import check_name
from pyg_advinfonce.errors import CheckpointError, ConfigError
from pyg_advinfonce.files import not_found
from pyg_advinfonce.registry import data_root as default_root
from pyg_advinfonce.runs import CONFIG, is_seed_name, seed_folders

MAX_SEEDS = 1000


@dataclass(frozen=True)
class Plan:
    """Names and settings of the runs to train."""

    model: str
    loss: str | None
    data: str
    layers: list[Sections]
    seeds: list[int] | None
    data_root: Path
    cache_dir: Path | None
    preset: str = "default"
    custom: Mapping[str, Any] = field(default_factory=dict)

    def resolve(self, *layers: Sections) -> Config:
        """Return the configuration with further settings.

        Raises:
            ConfigError: If a name or setting is wrong, or the plan names a loss for a
                model without a forward.
        """
        merged = [*self.layers, *layers]
        names = self.model, self.loss, self.data
        config = Config.resolve(*names, preset=self.preset, layers=merged)
        check_keys(config)
        check_name(self.data, default_root(self.data_root))
        if not self.custom:
            return config
        from pyg_advinfonce.build import name_custom

        found = name_custom(config, **self.custom)
        if self.loss is not None and found.loss.name != self.loss:
            raise ConfigError(
                f"model '{self.model}' has no forward and cannot be trained: use "
                f"--loss {found.loss.name} (got {self.loss})"
            )
        return found


@dataclass(frozen=True)
class Saved:
    """The folder of a run, and the settings of its seeds."""

    folder: Path
    configs: list[Config]

    @classmethod
    def of(cls, run: Path) -> "Saved":
        """Read a run to resume, from its folder or that of one of its seeds.

        Raises:
            CheckpointError: If the folder holds no run of the command line.
        """
        is_seed = (run / CONFIG).is_file()
        if is_seed and not is_seed_name(run.name):
            raise CheckpointError(
                f"{run} was written by train() in Python: resume it there, "
                "train(..., out=..., resume=True)"
            )
        folder = run.parent if is_seed else run
        files = [seed / CONFIG for seed in seed_folders(folder)]
        if not folder.is_dir():
            raise CheckpointError(not_found(folder, "folder"))
        for file in files:
            if not file.is_file():
                raise CheckpointError(
                    f"{file.parent} holds no run to resume: it has no {file.name}"
                )
        return cls(folder, [Config.load(file) for file in files])


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
        raise ConfigError(f"--seeds expects 0-4 or 1,3,5 (got '{seeds}')")
    spans = [_span(part) for part in seeds.split(",")]
    number = sum(map(len, spans))
    if not all(spans) or number > MAX_SEEDS or len(set().union(*spans)) < number:
        raise ConfigError(
            f"--seeds expects 1 to {MAX_SEEDS} different seeds (got '{seeds}')"
        )
    return [seed for span in spans for seed in span]


def _span(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def data_name(layers: Iterable[Sections]) -> str | None:
    """Return the data that settings name, as those of a saved run do."""
    sections = (layer.get("data") for layer in layers)
    names = (s.get("name") for s in sections if isinstance(s, Mapping))
    return next((name for name in names if isinstance(name, str)), None)


def layers(
    file: Path | None, assignments: list[str], **flags: Mapping[str, object]
) -> list[Sections]:
    """Return the settings of the file, then those of ``--set``, then the flags'.

    Args:
        file: A TOML file.
        assignments: The texts of ``--set``.
        **flags: The settings of each section that have a flag, None if not given.
    """
    found: list[Sections] = [read_toml(file)] if file else []
    found += [parse_assignment(text) for text in assignments]
    for section, values in flags.items():
        given = {key: value for key, value in values.items() if value is not None}
        if given:
            found.append({section: given})
    return found
