"""Which published files a root holds, and whether they are intact."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pyg_advinfonce.datasets.base import read_files
from pyg_advinfonce.datasets.published.place import RawFolder
from pyg_advinfonce.datasets.published.record import (
    Published,
    PublishedFile,
    Terms,
    known_set,
    known_sets,
    recognise,
)
from pyg_advinfonce.errors import ConfigError


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


State = Literal["ok", "differs", "missing"]


@dataclass(frozen=True)
class FileCheck:
    """What became of one file's check.

    Args:
        path: Where the file lies, or belongs.
        state: Whether it is the published one.
        detail: Its size and hashes, or what was expected.
    """

    path: Path
    state: State
    detail: str


def verify(data: str, root: Path = Path("data")) -> list[FileCheck]:
    """Compare the files of a data set with the published ones.

    Args:
        data: A published data set's name, or a folder that holds files of one.
        root: The folder that holds the data sets' folders.

    Raises:
        UnknownNameError: If it is neither a name nor a folder.
        ConfigError: If it is not a published data set.
        DatasetNotFoundError: If none of its files is there.
    """
    place = RawFolder.named(data, root)
    folder, published = place.find(), place.published
    if published is not None:
        return check_folder(folder, published)
    name = recognise(read_files(folder))
    if name is None:
        raise ConfigError(
            f"{folder} holds no published file: expected one of a data set that "
            "`advnce data list` shows"
        )
    return check_folder(folder, known_set(name))


def check_folder(folder: Path, published: Published) -> list[FileCheck]:
    """Compare the files of a folder with those of a data set.

    Files that the data set does not have, but that would be read with it, differ.
    """
    files = read_files(folder)
    needed = [published.path(folder, name).name for name in published.needed]
    names = [*needed, *(name for name in files if name not in needed)]
    return [
        _check(
            folder / name,
            published.file(name),
            files[name].content if name in files else None,
        )
        for name in names
    ]


def _check(path: Path, known: PublishedFile | None, content: bytes | None) -> FileCheck:
    if content is None:
        return FileCheck(path, "missing", f"expected {known}")
    found = PublishedFile.of(content)
    if known is None:
        return FileCheck(path, "differs", f"expected no such file, got {found}")
    difference = known.difference(content)
    if difference is not None:
        return FileCheck(path, "differs", difference)
    return FileCheck(path, "ok", str(found))
