"""Which published data sets there are, and which of their files lie under a root."""

from dataclasses import dataclass
from pathlib import Path

from pyg_advinfonce.datasets.known_sets import known_sets
from pyg_advinfonce.datasets.published import Published
from pyg_advinfonce.datasets.raw_folder import RawFolder
from pyg_advinfonce.datasets.terms import Terms


@dataclass(frozen=True)
class Stock:
    """One data set's files.

    Args:
        name: The data set's name.
        folder: Where files of it lie, or None.
        present: The sizes in bytes of the needed files that are there, by name.
        num_files: How many files it needs.
        num_bytes: The size of those whose size is known.
        unsized: The files whose size is not known.
        terms: Under which terms it may be used.
    """

    name: str
    folder: Path | None
    present: dict[str, int]
    num_files: int
    num_bytes: int
    unsized: list[str]
    terms: Terms


def inventory(root: Path = Path("data")) -> list[Stock]:
    """Look for every published data set's files; their content is not read.

    Args:
        root: The folder that holds the data sets' folders.
    """
    return [_stock(name, known, root) for name, known in known_sets().items()]


def _stock(name: str, published: Published, root: Path) -> Stock:
    folder = RawFolder(root, name, published).first_place()
    needed = published.needed
    paths = {} if folder is None else {n: published.path(folder, n) for n in needed}
    return Stock(
        name,
        folder,
        {n: path.stat().st_size for n, path in paths.items() if path.is_file()},
        len(needed),
        sum(file.size or 0 for file in needed.values()),
        [n for n, file in needed.items() if file.size is None],
        published.terms,
    )
