"""The published data sets that can be made from their owners' files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pyg_advinfonce.datasets.sources import coat, kuairec, yahoo
from pyg_advinfonce.datasets.split_files import SplitPairs


@dataclass(frozen=True)
class Source:
    """One published data set.

    Args:
        files: The names of its files.
        build: Makes the splits from the files' paths and a seed.
    """

    files: tuple[str, ...]
    build: Callable[[Mapping[str, Path], int], SplitPairs]


SOURCES: Mapping[str, Source] = {
    "coat": Source(coat.FILES, coat.build_coat),
    "yahoo": Source(yahoo.FILES, yahoo.build_yahoo),
    "kuairec": Source(kuairec.FILES, kuairec.build_kuairec),
}
