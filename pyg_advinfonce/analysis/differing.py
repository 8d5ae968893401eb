"""Which settings tell runs apart."""

from collections.abc import Sequence
from typing import Any

from pyg_advinfonce.config import Config

NO_SETTINGS = ("train.seed", "dataset")


def differing(configs: Sequence[Config]) -> dict[str, list[Any]]:
    """Return the settings in which configurations differ, with their values.

    The seed and the data set's name are none of them. A setting that a configuration
    leaves at its default is None.

    Args:
        configs: One of each run.
    """
    flat = [config.flat() for config in configs]
    names = dict.fromkeys(name for one in flat for name in one)
    found = {
        name: [one.get(name) for one in flat]
        for name in names
        if name not in NO_SETTINGS
    }
    return {k: v for k, v in found.items() if any(other != v[0] for other in v)}
