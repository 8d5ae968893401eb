"""Model cards: a README beside an exported file, for a model hub."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pyg_advinfonce.config import Config
from pyg_advinfonce.datasets.base import find_folder
from pyg_advinfonce.datasets.published import CATALOGUE
from pyg_advinfonce.datasets.splits import read_manifest
from pyg_advinfonce.errors import ConfigError, DataError
from pyg_advinfonce.files import output_file
from pyg_advinfonce.registry import (
    DATASETS,
    LOSSES,
    MODELS,
    MONITOR,
    Entry,
    data_root,
)
from pyg_advinfonce.runs.finished import FinishedSeed, read_run, read_seed
from pyg_advinfonce.runs.folder import (
    CONFIG,
    METRICS,
    folder_name,
    is_seed_name,
    seed_folders,
)
from pyg_advinfonce.runs.summary import mean_and_std_text, run_summary, seed_text
from pyg_advinfonce.version import __version__

CARD, SETTINGS = "README.md", "settings.toml"
MARK = "library_name: pyg_advinfonce\n"
IDS = {"CC BY-SA 4.0": "cc-by-sa-4.0"}
"""Identifiers of licences on a model hub; any other licence is ``other``."""
READERS = {
    ".npz": """\
import numpy as np

arrays = np.load("{}")
ids = {{name: arrays[name] for name in ("user_id", "item_id")}}
""",
    ".safetensors": """\
import json
import numpy as np
from safetensors.numpy import load_file

arrays = load_file("{}")
ids = {{name: arrays[name] for name in ("user_id", "item_id")}}
for name, values in ids.items():
    if values.dtype == np.uint8:  # ids that are texts
        ids[name] = np.array(json.loads(bytes(values)))
""",
}
"""Python code that reads the arrays of an exported file, by its suffix."""

SOURCE = "SOURCE"
"""Stands for the user's own files in the command that splits them."""


@dataclass(frozen=True)
class Terms:
    """Terms of the data, which bind the file as well: it holds ids and pairs."""

    id: str
    text: str
    link: str = ""

    @classmethod
    def of(cls, name: str) -> "Terms":
        """Return the terms of a data set by its name."""
        if name.partition(":")[0] == "simulated":
            return cls("mit", "simulated by pyg_advinfonce, as free as the library")
        known = CATALOGUE.get(name)
        if known is None:
            return cls(
                "other", "those of the data's owner, which this card cannot know"
            )
        licence = known.licence
        link = licence.owner or known.url
        text = str(licence) if licence.owner else f"{licence} ({link})"
        return cls(IDS.get(licence.text, "other"), text, link)


def card_path(file: Path) -> Path:
    """Return the path of an exported file's model card.

    Raises:
        ConfigError: If that is another ``README.md``.
    """
    path = file.parent / CARD
    if not path.exists():
        return path
    text = path.read_text("utf-8", errors="ignore")
    if MARK not in text or f"\n`{file.name}` holds " not in text:
        what = (
            "describes another file" if MARK in text else "is no model card of advnce"
        )
        raise ConfigError(f"{path} exists and {what}: export to a folder of its own")
    return path


def write_card(run: Path, file: Path, *, root: Path | None = None) -> Path:
    """Write the model card of an exported file beside it, as ``README.md``.

    The settings are written beside it, too, as ``settings.toml``. The folder of the
    file is then what a model hub takes as it is, e.g.
    ``huggingface_hub.upload_folder``.

    Args:
        run: The folder of the exported seed, or of a run of a single seed. Finished
            seeds beside it with the same settings give the spread of the metrics.
        file: The exported file.
        root: The folder of the data sets (default: as for
            :func:`~pyg_advinfonce.datasets.load_dataset`).

    Returns:
        The path of the card.

    Raises:
        ConfigError: If the file's folder has another ``README.md``, or cannot be
            written.
        CheckpointError: If the run is not finished or is damaged.
    """
    path = card_path(file)
    [seed] = read_run(run)
    settings, new = path.with_name(SETTINGS), _settings(seed)
    is_other = settings.exists() and settings.read_text("utf-8", "ignore") != new
    if is_other and not path.exists():
        raise ConfigError(f"{settings} exists: export to a folder of its own")
    text = model_card(seed, _alike(seed), file.name, _origin_of_data(seed, root))
    for place, content in ((path, text), (settings, new)):
        with output_file(place) as unfinished:
            unfinished.write_text(content, encoding="utf-8")
    return path


def _settings(seed: FinishedSeed) -> str:
    return tomli_w.dumps(_public(seed.config).model_dump(exclude_none=True))


def _origin_of_data(seed: FinishedSeed, root: Path | None) -> Mapping[str, Any]:
    """Return the manifest of a split folder; empty for other data."""
    try:
        return read_manifest(find_folder(seed.config.data.name, root or data_root()))
    except (ConfigError, DataError):
        return {}


def _alike(seed: FinishedSeed) -> list[FinishedSeed]:
    """Return the finished seeds of the same run with the same settings and data."""
    found = [seed]
    if is_seed_name(seed.folder.name):
        folders = seed_folders(seed.folder.resolve().parent)
        finished = [
            f for f in folders if all((f / n).is_file() for n in (CONFIG, METRICS))
        ]
        found = [read_seed(folder) for folder in finished]
    return [other for other in found if _origin(other) == _origin(seed)]


def _origin(seed: FinishedSeed) -> object:
    """Return the settings without the seed, and the data."""
    return {**seed.config.flat(), "train.seed": None}, seed.fingerprint


def model_card(
    seed: FinishedSeed,
    seeds: Sequence[FinishedSeed],
    file: str,
    made: Mapping[str, Any],
) -> str:
    """Return the model card of an exported file.

    Args:
        seed: The exported seed.
        seeds: All seeds of the run, for the spread of the metrics.
        file: The file's name.
        made: The manifest of a split folder, or nothing.
    """
    config, outcome = _public(seed.config), seed.outcome
    summary = run_summary(seeds, seed.folder.parent)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("card.md.jinja").render(
        title=config.title,
        model=config.model.name,
        model_help=_help(MODELS, config.model.name),
        loss=config.loss.name,
        loss_help=_help(LOSSES, config.loss.name),
        data=config.data.name,
        licence=Terms.of(seed.config.data.name),
        file=file,
        reader=READERS.get(Path(file).suffix, "").format(file),
        counts=seed.fingerprint.rpartition(": ")[2],
        seed=seed.seed,
        seeds=summary["seeds"],
        seed_text=seed_text(summary["seeds"]),
        results=_results(seed, summary["metrics"]),
        metrics=dict.fromkeys(n.split("/")[1].split("@")[0] for n in outcome.metrics),
        best_epoch=outcome.best_epoch,
        epochs=outcome.epochs,
        monitor=MONITOR,
        device=outcome.device,
        wall_seconds=outcome.wall_seconds,
        versions=", ".join(f"{name} {v}" for name, v in outcome.versions.items()),
        version=__version__,
        settings=_settings(seed),
        settings_file=SETTINGS,
        sources=made.get("source", {}),
        cites_paper=config.loss.name.startswith("adv"),
        is_custom=bool(config.custom),
        commands=_commands(config, summary["seeds"], file, made),
    )


def _help(entries: Mapping[str, Entry], name: str) -> str:
    return f" ({entries[name].help})" if name in entries else ""


def _public(config: Config) -> Config:
    """Return settings without the folders of this machine."""
    name = config.data.name
    if name.partition(":")[0] not in DATASETS:
        name = folder_name(Path(name).name)
    return config.model_copy(
        update={"data": config.data.model_copy(update={"name": name})}
    )


def _results(
    seed: FinishedSeed, metrics: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each split, valid last."""
    found: dict[str, list[dict[str, Any]]] = {}
    for full in sorted(metrics, key=lambda name: name.startswith("valid/")):
        split, name = full.split("/")
        spread = mean_and_std_text(metrics[full])
        row = {"name": name, "value": seed.value(full), "spread": spread}
        found.setdefault(split, []).append(row)
    return found


def _commands(
    config: Config, seeds: Sequence[int], file: str, made: Mapping[str, Any]
) -> str:
    """Return the commands that split the data, train the run and export the seed."""
    named = [config.model.name, "--loss", config.loss.name, "--data", config.data.name]
    run = Path("runs") / folder_name(config.title)
    which = ["--seeds", ",".join(map(str, seeds))]
    train = ["advnce", "train", *named, "--config", SETTINGS, *which]
    export = ["advnce", "export", str(run / f"seed-{config.train.seed}"), "--out", file]
    split = [_split_words(config.data.name, made["options"])] if made else []
    commands = [*split, [*train, "--out", str(run)], [*export, "--card"]]
    return "\n".join(map(shlex.join, commands))


def _split_words(folder: str, options: Mapping[str, Any]) -> list[str]:
    """Return the command that makes a split folder from its manifest's options."""
    kind = options["kind"]
    if kind == "simulated":
        words = ["advnce", "data", "simulate"]
    elif kind.startswith("table"):
        words = ["advnce", "data", "split", SOURCE]
    else:
        words = ["advnce", "data", "split", kind, "--raw", SOURCE]
    for key, value in options.items():
        flag = f"--{key.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif key != "kind":
            parts = value if isinstance(value, list) else [value]
            words += [flag, ",".join(map(str, parts))]
    return [*words, "--out", folder]
