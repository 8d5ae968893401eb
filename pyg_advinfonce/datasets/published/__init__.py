"""Published data sets: catalogue, download, verification."""

from pyg_advinfonce.datasets.published.archive import raw_files
from pyg_advinfonce.datasets.published.catalogue import (
    CATALOGUE,
    known_set,
    recognise,
)
from pyg_advinfonce.datasets.published.check import FileCheck, Stock, inventory, verify
from pyg_advinfonce.datasets.published.entry import (
    Licence,
    Published,
    PublishedFile,
    Upstream,
)
from pyg_advinfonce.datasets.published.fetch import fetch
from pyg_advinfonce.datasets.published.owners import SOURCES
from pyg_advinfonce.datasets.published.place import RawFolder

__all__ = [
    "CATALOGUE",
    "SOURCES",
    "FileCheck",
    "Licence",
    "Published",
    "PublishedFile",
    "RawFolder",
    "Stock",
    "Upstream",
    "fetch",
    "inventory",
    "known_set",
    "raw_files",
    "recognise",
    "verify",
]
