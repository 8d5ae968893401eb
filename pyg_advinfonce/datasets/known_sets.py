"""The data sets whose published files are known."""

from collections.abc import Mapping

from pyg_advinfonce.datasets.published import Published
from pyg_advinfonce.datasets.split_files import RawFile
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.registry import DATASETS, resolve


def known_sets() -> dict[str, Published]:
    """Return what is known of every published data set, by name."""
    found = {name: _published(name) for name in DATASETS}
    return {name: known for name, known in found.items() if known is not None}


def known_set(name: str) -> Published:
    """Return what is known of a published data set.

    Raises:
        UnknownNameError: If there is no such data set.
        ConfigError: If it is not a published one.
    """
    published = _published(name)
    if published is None:
        raise ConfigError(
            f"data set '{name}' has no published files: choose from "
            f"{', '.join(known_sets())}"
        )
    return published


def recognise(files: Mapping[str, RawFile]) -> str | None:
    """Return the name of the published data set that most files belong to, if any."""
    counts = {name: _matches(known, files) for name, known in known_sets().items()}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else None


def _published(name: str) -> Published | None:
    published: Published | None = getattr(resolve("dataset", name), "published", None)
    return published


def _matches(published: Published, files: Mapping[str, RawFile]) -> int:
    return sum(
        known is not None and known.difference(file.content) is None
        for name, file in files.items()
        for known in [published.file(name)]
    )
