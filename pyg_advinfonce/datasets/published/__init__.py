"""Published data sets: catalogue, download, verification.

What reads tables is imported on first use.
"""

from typing import TYPE_CHECKING

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
from pyg_advinfonce.datasets.published.place import RawFolder
from pyg_advinfonce.lazy import lazy_names

if TYPE_CHECKING:
    from pyg_advinfonce.datasets.published.owners import SOURCES

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

__getattr__, __dir__ = lazy_names(__name__, {"SOURCES": "owners"})
