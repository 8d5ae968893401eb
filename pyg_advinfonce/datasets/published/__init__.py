"""The published data sets: records, download, verification."""

from pyg_advinfonce.datasets.published.archive import raw_files
from pyg_advinfonce.datasets.published.check import FileCheck, Stock, inventory, verify
from pyg_advinfonce.datasets.published.fetch import fetch
from pyg_advinfonce.datasets.published.owners import SOURCES
from pyg_advinfonce.datasets.published.place import RawFolder
from pyg_advinfonce.datasets.published.record import (
    Published,
    PublishedFile,
    Terms,
    known_set,
    recognise,
)

__all__ = [
    "SOURCES",
    "FileCheck",
    "Published",
    "PublishedFile",
    "RawFolder",
    "Stock",
    "Terms",
    "fetch",
    "inventory",
    "known_set",
    "raw_files",
    "recognise",
    "verify",
]
