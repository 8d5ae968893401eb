"""Which settings tell runs apart."""

from collections.abc import Sequence
from typing import Any

from pyg_advinfonce.config import Config
from pyg_advinfonce.settings import settings

NO_SETTINGS = ("train.seed", "dataset")


def differing(configs: Sequence[Config]) -> dict[str, list[Any]]:
    """Return the settings in which configurations differ, with their values.

    The seed and the data set's name are none of them, nor what is nowhere but at its
    default. A setting that a configuration has not is None.

    Args:
        configs: One of each run.
    """
    values = [_values(config) for config in configs]
    names = dict.fromkeys(name for config in configs for name in config.flat())
    found = {
        name: [one.get(name) for one in values]
        for name in names
        if name not in NO_SETTINGS
    }
    return {k: v for k, v in found.items() if any(other != v[0] for other in v)}


def _values(config: Config) -> dict[str, Any]:
    names = {"model": config.model, "criterion": config.criterion}
    return names | {setting.name: setting.value for setting in settings(config)}
