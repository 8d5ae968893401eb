"""All settings of a configuration: names, values and meanings."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from textwrap import wrap
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import tomli_w
from pydantic import BaseModel

from pyg_advinfonce.config.config import NAMED, Config, Train
from pyg_advinfonce.registry import LOSSES, MODELS, find, is_custom
from pyg_advinfonce.schema import check_options
from pyg_advinfonce.source import described

Target = Callable[..., Any]

FROM_TRAIN = ("lr", "l2", "l2_options")
"""Arguments of a builder of methods that the section ``[train]`` sets."""


@dataclass(frozen=True)
class Setting:
    """A setting of a configuration, set or not.

    Attributes:
        name: The name ``section.key``, as in ``--set``.
        value: The value.
        is_default: Whether the value is the library's default.
        meaning: The argument's docstring, without markup.
        default: The library's default, or None.
        allowed: What it may be, e.g. ``a number of at least 0``; empty if unknown.
    """

    name: str
    value: object
    is_default: bool
    meaning: str
    default: object
    allowed: str


def model_targets(
    config: Config,
    model: Any = None,  # noqa: ANN401
    *,
    load: bool = True,
) -> list[Target]:
    """Return the callables with the keys of ``[model]``; the last builds the model.

    Args:
        config: The configuration.
        model: The custom model, if the configuration names one; a module has no keys.
        load: Import the library's own; otherwise stand-ins have their arguments and
            docstrings.
    """
    if not is_custom(config.model.name):
        entry = MODELS[config.model.name]
        if load:
            return [entry.load_encoder(), entry.load()]
        return [described(entry.encoder), described(entry.target)]
    if model is None or _is_module(model):
        return []
    builder: Target = getattr(model, "from_graph", model)
    takes = inspect.signature(builder).parameters.values()
    hands_on = any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes)
    return [model, builder] if hands_on else [builder]


def _is_module(custom: object) -> bool:
    from torch import nn  # custom code has imported it

    return isinstance(custom, nn.Module)


def set_by_train(builder: Target) -> tuple[str, ...]:
    """Return the arguments that ``[train]`` sets; only methods are given a loss."""
    return FROM_TRAIN if "loss" in inspect.signature(builder).parameters else ()


def loss_target(
    config: Config,
    loss: Any = None,  # noqa: ANN401
    *,
    load: bool = True,
) -> Target | None:
    """Return the callable with the keys of ``[loss]``, if any.

    Args:
        config: The configuration.
        loss: The class of the custom loss, if the configuration names one.
        load: As for :func:`model_targets`.
    """
    name = config.loss.name
    if is_custom(name):
        return None if loss is None or _is_module(loss) else loss
    if name not in LOSSES:
        return None
    found: Target = LOSSES[name].load() if load else described(LOSSES[name].target)
    return found


def check_keys(config: Config) -> None:
    """Check the keys and types of a model and a loss of the library.

    It finds, without importing torch, what building them would find.

    Raises:
        ConfigError: If a key is unknown or a value has the wrong type.
    """
    if "model" not in config.custom:
        targets = model_targets(config, load=False)
        given = set_by_train(targets[-1])
        check_options("model", targets, config.model.options, given=given)
    if "loss" not in config.custom:
        kind = loss_target(config, load=False)
        kinds = [kind] if kind else []
        check_options("loss", kinds, config.loss.options, given=["hardness"])
        if kind and takes_hardness(kind):
            options = dict(config.hardness)
            options.pop("kind", None)
            check_options("hardness", [_hardness_target(config)], options)


def takes_hardness(loss: Target) -> bool:
    """Whether a loss has a hardness, the section ``[hardness]``."""
    return "hardness" in inspect.signature(loss).parameters


def _hardness_target(config: Config) -> Target:
    builder = inspect.signature(described("losses:build_hardness")).parameters
    name = str(config.hardness.get("kind", builder["kind"].default))
    return described(find("hardness.kind", name).target)


def settings(
    config: Config, *, model: object | None = None, loss: object | None = None
) -> list[Setting]:
    """Return all settings of a run, section by section.

    Arguments of the data set are listed only if they are set. The same holds for a
    custom model or loss that is not passed.

    Args:
        config: The configuration.
        model: The custom model, if the configuration names one.
        loss: The custom loss, if the configuration names one.

    Raises:
        UnknownNameError: If the kind of hardness does not exist.
    """
    targets = model_targets(config, model, load=False)
    kind = loss_target(config, loss, load=False)
    models = {k: v for target in targets for k, v in _defaults(target).items()}
    elsewhere = set_by_train(targets[-1]) if targets else ()
    models = {k: v for k, v in models.items() if k not in elsewhere}
    width = {"dim": config.model.options.get("dim", models.get("dim"))}
    losses = {} if kind is None else _defaults(kind, tied=width)
    losses.pop("hardness", None)
    return [
        *_section("data", {}, config.data.options, []),
        *_section("model", models, config.model.options, targets),
        *_section("loss", losses, config.loss.options, [kind] if kind else []),
        *(_hardness(config, width) if kind and takes_hardness(kind) else []),
        *_section("train", Train().model_dump(), config.train.model_dump(), [Train]),
    ]


def setting_values(
    config: Config, *, model: object | None = None, loss: object | None = None
) -> dict[str, Any]:
    """Return the value of every setting of a run, set or not, by ``section.key``."""
    found = settings(config, model=model, loss=loss)
    return {setting.name: setting.value for setting in found}


def _hardness(config: Config, width: Mapping[str, object]) -> list[Setting]:
    targets = [described("losses:build_hardness"), _hardness_target(config)]
    defaults = _defaults(targets[0]) | _defaults(targets[1], tied=width)
    return _section("hardness", defaults, config.hardness, targets)


def _section(
    section: str,
    defaults: Mapping[str, object],
    chosen: Mapping[str, object],
    described: Sequence[Target],
) -> list[Setting]:
    meanings = {k: v for target in described for k, v in _arguments(target)}
    allowed = {k: v for target in described for k, v in _allowed(target)}
    return [
        Setting(
            f"{section}.{key}",
            value,
            key in defaults and value == defaults[key],
            meanings.get(key, ""),
            defaults.get(key),
            allowed.get(key, ""),
        )
        for key, value in {**defaults, **chosen}.items()
    ]


def _defaults(
    target: Target,
    *,
    tied: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Return the defaults of arguments; values in ``tied`` replace them."""
    return {
        name: (tied or {}).get(name, parameter.default)
        for name, parameter in inspect.signature(target).parameters.items()
        if parameter.default is not parameter.empty
    }


def _arguments(target: Target) -> Iterator[tuple[str, str]]:
    """Yield each argument and its text from a Google-style docstring."""
    text = inspect.getdoc(target) or ""
    block = re.search(r"^(?:Args|Attributes):\n((?:[ ]+.*\n?|\n)+)", text, re.M)
    for name, meaning in re.findall(
        r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", block[1] if block else "", re.M
    ):
        yield name, _plain(meaning)


def _plain(text: str) -> str:
    """Remove the markup of references, formulas and literals."""
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?([^`]*)`", r"\1", " ".join(text.split()))
    return text.replace("``", "").replace("\\", "")


def settings_toml(config: Config, found: Sequence[Setting]) -> str:
    """Return settings as a commented file for ``advnce train --config``.

    Args:
        config: The configuration.
        found: Its :func:`settings`.
    """
    named = {section: getattr(config, section).name for section in NAMED}
    sections = {setting.name.split(".")[0]: "" for setting in found}
    lines = [f"# All settings of {config.pair} on {config.data.name}."]
    for section in dict.fromkeys([*named, *sections]):
        lines += ["", f"[{section}]"]
        if section in named:
            lines.append(_toml_line("name", named[section]))
        for setting in found:
            own, key = setting.name.split(".")
            if own == section:
                lines += ["", *_comments(setting)]
                is_set = setting.value is not None
                lines.append(_toml_line(key, setting.value) if is_set else f"# {key} =")
    return "\n".join(lines) + "\n"


def _comments(setting: Setting) -> Iterator[str]:
    """Yield the description, the allowed values and the default of a setting."""
    default = setting.default
    known = "not set" if default is None else _toml_line("x", default)[4:]
    text = f"{setting.allowed}; default: {known}" if setting.allowed else ""
    for part in filter(None, (setting.meaning, text)):
        yield from wrap(part, 80, initial_indent="# ", subsequent_indent="# ")


def _toml_line(key: str, value: object) -> str:
    """Return an assignment in TOML, on one line."""
    plain = list(value) if isinstance(value, tuple) else value
    text = " ".join(tomli_w.dumps({key: plain}).split())
    return text.replace("[ ", "[").replace(", ]", "]")


def _allowed(target: Target) -> Iterator[tuple[str, str]]:
    """Yield each argument and what its annotation allows."""
    if isinstance(target, type) and issubclass(target, BaseModel):
        for name, field in target.model_fields.items():
            yield name, _kind_text(field.annotation, field.metadata)
        return
    function = target.__init__ if inspect.isclass(target) else target
    with suppress(Exception):  # annotations may name imports under TYPE_CHECKING
        for name, kind in inspect.get_annotations(function, eval_str=True).items():
            yield name, _kind_text(kind)


_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
_LIMITS = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}


def _kind_text(kind: Any, metadata: Sequence[object] = ()) -> str:  # noqa: ANN401
    """Return what a type allows, e.g. ``a number above 0``; empty if it is unknown."""
    origin, inner = get_origin(kind), [a for a in get_args(kind) if a is not NoneType]
    if kind in _KINDS:
        limits = (
            f"{word} {limit}"
            for name, word in _LIMITS.items()
            for item in metadata
            if (limit := getattr(item, name, None)) is not None and limit < 2**62
        )
        return " ".join([_KINDS[kind], *limits])
    if origin is Literal:
        return "one of " + ", ".join(f'"{choice}"' for choice in inner)
    if origin is Annotated:
        return _kind_text(inner[0], inner[1:])
    if origin in (Union, UnionType):
        return " or ".join(filter(None, map(_kind_text, inner)))
    if origin in (list, Sequence) and (one := _kind_text(inner[0])):
        return f"a list, each {one}"
    return ""
