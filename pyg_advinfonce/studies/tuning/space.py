"""The search space of a model and a loss, read from ``spaces``."""

import tomllib
from collections.abc import Collection, Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from pyg_advinfonce.config import Config, flatten, setting_values
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.registry import NO_LOSS, pair_settings, unknown

Space = dict[str, BaseDistribution]  # by section.key
Params = dict[str, Any]  # by section.key


def search_space(
    config: Config,
    fixed: Collection[str] = (),
    custom: Mapping[str, Any] = MappingProxyType({}),
    chosen: Mapping[str, Any] | None = None,
) -> Space:
    """Return the space of a configuration's model and loss.

    It merges the shared space (``spaces/shared.toml``), the model's file and the
    loss's file; a custom model or loss has the attribute ``search_space`` instead. A
    key that the registry sets for the pair, such as BPR's single negative, is searched
    only if the model's or the loss's file names it. A model without a loss does not
    search the shared space.

    Args:
        config: Names the model and the loss.
        fixed: Keys ``section.key`` that are not searched.
        custom: The custom model and loss, by section.
        chosen: A space instead of that: by key ``section.key`` a list of choices or a
            mapping with ``low``, ``high`` and ``log``.

    Raises:
        ConfigError: If a space has another form, or a key that cannot be set.
    """
    known = setting_values(config, **custom)
    space = (
        _packaged_space(config, custom, known)
        if chosen is None
        else _parse_space("the space", chosen, known)
    )
    return {key: values for key, values in space.items() if key not in fixed}


def _packaged_space(
    config: Config, custom: Mapping[str, Any], known: Collection[str]
) -> Space:
    model, loss = config.model.name, config.loss.name
    own = {key for layer in pair_settings(model, loss) for key in flatten(layer)}
    shared = read_space("shared") if loss != NO_LOSS else {}
    shared = {key: values for key, values in shared.items() if key not in own}
    space = shared | read_space("model", model)
    space |= read_space("loss", loss)
    for section, target in custom.items():
        keys = [name for name in known if name.startswith(f"{section}.")]
        found = getattr(target, "search_space", {})
        if isinstance(found, Mapping):
            found = {f"{section}.{key}": values for key, values in found.items()}
        space |= _parse_space(f"the search_space of the {section}", found, keys)
    return space


def read_space(*path: str) -> Space:
    """Read a file below ``spaces``, e.g. ``loss``, ``adv``; empty if it is missing."""
    file = resources.files(__package__).joinpath("spaces", *path[:-1])
    file = file / f"{path[-1]}.toml"
    if not file.is_file():
        return {}
    sections = tomllib.loads(file.read_text(encoding="utf-8"))
    return {key: _distribution(values) for key, values in flatten(sections, 2).items()}


def _parse_space(what: str, space: Any, known: Collection[str]) -> Space:  # noqa: ANN401
    found, key = {}, None
    try:
        for key, values in space.items():
            found[key] = _distribution(values)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        got = space if key is None else f"{key} = {values!r}"
        is_pair = isinstance(error, ValueError) and isinstance(values, Mapping)
        if is_pair and _is_reversed(values):
            raise ConfigError(f"{what}: low is above high in {got!s:.80}") from error
        raise ConfigError(
            f"{what} maps keys to a list of choices or to low, high and log "
            f"(got {got!s:.80})"
        ) from error
    for key in found:
        if key not in known:
            raise unknown(f"key of {what}", key, known)
    return found


def _is_reversed(values: Mapping[str, Any]) -> bool:
    low, high = values.get("low"), values.get("high")
    if not (isinstance(low, int | float) and isinstance(high, int | float)):
        return False
    return low > high


def _distribution(values: list[Any] | Mapping[str, Any]) -> BaseDistribution:
    if isinstance(values, list):
        return CategoricalDistribution(values)
    whole = isinstance(values["low"], int) and isinstance(values["high"], int)
    return (IntDistribution if whole else FloatDistribution)(**values)


def suggest(trial: Trial, key: str, values: BaseDistribution) -> Any:  # noqa: ANN401
    """Return the value that a trial chooses."""
    match values:
        case CategoricalDistribution():
            return trial.suggest_categorical(key, values.choices)
        case IntDistribution():
            return trial.suggest_int(key, values.low, values.high, log=values.log)
        case FloatDistribution():
            return trial.suggest_float(key, values.low, values.high, log=values.log)
    raise TypeError(f"{key} cannot be searched in {values}")


def default_params(
    config: Config, space: Space, custom: Mapping[str, Any] = MappingProxyType({})
) -> Params:
    """Return the values of a configuration that lie in the space."""
    known = setting_values(config, **custom)
    found = {key: known.get(key) for key in space}
    return {k: v for k, v in found.items() if _contains(space[k], v)}


def _contains(values: BaseDistribution, value: object) -> bool:
    if isinstance(values, CategoricalDistribution):
        return value in values.choices
    assert isinstance(values, IntDistribution | FloatDistribution)
    return isinstance(value, int | float) and values.low <= value <= values.high
