"""All settings of a configuration, with their values and what they mean."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyg_advinfonce.config.config import Config, Train
from pyg_advinfonce.losses import build_hardness, find_hardness
from pyg_advinfonce.registry import LOSSES, MODELS

Target = Callable[..., Any]


@dataclass(frozen=True)
class Setting:
    """A key that a configuration has, or could have.

    Attributes:
        name: ``section.key``, as ``--set`` takes it.
        value: Its value.
        is_default: Whether the library's default is the same.
        meaning: What its docstring says of it, without markup.
    """

    name: str
    value: object
    is_default: bool
    meaning: str


def settings(config: Config) -> list[Setting]:
    """Return all settings that a run by a configuration has, section by section.

    Arguments of the data set are left out, unless they are set.

    Raises:
        UnknownNameError: If there is no such kind of hardness.
    """
    builder = MODELS[config.model].load()
    encoder = MODELS[config.model].load_encoder()
    loss = LOSSES[config.criterion].load()
    encoders = {**_defaults(encoder), **_defaults(builder, only=_defaults(encoder))}
    width = {"dim": config.encoder.get("dim", encoders.get("dim"))}
    losses = _defaults(loss, tied=width)
    losses.pop("hardness", None)
    takes_hardness = "hardness" in inspect.signature(loss).parameters
    others = _defaults(builder).keys() - encoders.keys() - {"lr", "l2", "l2_negatives"}
    return [
        *_section("data", {}, config.data, []),
        *_section("encoder", encoders, config.encoder, [encoder]),
        *_section("loss", losses, config.loss, [loss]),
        *(_hardness(config, width) if takes_hardness else []),
        *_section("method", _defaults(builder, only=others), config.method, [builder]),
        *_section("train", Train().model_dump(), config.train.model_dump(), [Train]),
    ]


def setting_values(config: Config) -> dict[str, Any]:
    """Return what every setting of a run is, chosen or not, by ``section.key``."""
    return {setting.name: setting.value for setting in settings(config)}


def _hardness(config: Config, width: Mapping[str, object]) -> list[Setting]:
    defaults = _defaults(build_hardness)
    kind = find_hardness(str(config.hardness.get("kind", defaults["kind"])))
    defaults |= _defaults(kind, tied=width)
    return _section("hardness", defaults, config.hardness, [build_hardness, kind])


def _section(
    section: str,
    defaults: Mapping[str, object],
    chosen: Mapping[str, object],
    described: Sequence[Target],
) -> list[Setting]:
    meanings = {k: v for target in described for k, v in _arguments(target)}
    return [
        Setting(
            f"{section}.{key}",
            value,
            key in defaults and value == defaults[key],
            meanings.get(key, ""),
        )
        for key, value in {**defaults, **chosen}.items()
    ]


def _defaults(
    target: Target,
    *,
    only: Mapping[str, object] | set[str] | None = None,
    tied: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Return the arguments that have a default, or one that is tied to another."""
    found = {
        name: (tied or {}).get(name, parameter.default)
        for name, parameter in inspect.signature(target).parameters.items()
        if parameter.default is not parameter.empty
    }
    return {k: v for k, v in found.items() if only is None or k in only}


def _arguments(target: Target) -> Iterator[tuple[str, str]]:
    """Read what a docstring in Google's style says of each argument."""
    text = inspect.getdoc(target) or ""
    block = re.search(r"^(?:Args|Attributes):\n((?:[ ]+.*\n?|\n)+)", text, re.M)
    for name, meaning in re.findall(
        r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", block[1] if block else "", re.M
    ):
        yield name, _plain(meaning)


def _plain(text: str) -> str:
    """Take the markup of references, formulas and literals off a text."""
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?([^`]*)`", r"\1", " ".join(text.split()))
    return text.replace("``", "").replace("\\", "")
