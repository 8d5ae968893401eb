"""Inventory and verification of published files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pyg_advinfonce.datasets.base import read_files
from pyg_advinfonce.datasets.published.catalogue import (
    CATALOGUE,
    known_set,
    recognise,
)
from pyg_advinfonce.datasets.published.entry import Licence, Published, PublishedFile
from pyg_advinfonce.datasets.published.place import RawFolder, read_place
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.registry import data_root


@dataclass(frozen=True)
class Stock:
    """Local files of one published data set.

    Args:
        name: Name of the data set.
        folder: Folder that holds some of its files, or None.
        present: Sizes in bytes of the required files that exist, by name.
        num_files: Number of required files.
        num_bytes: Total size of the required files of known size.
        unsized: Names of the required files of unknown size.
        licence: Licence of the data.
    """

    name: str
    folder: Path | None
    present: dict[str, int]
    num_files: int
    num_bytes: int
    unsized: list[str]
    licence: Licence


def inventory(root: Path | str | None = None) -> list[Stock]:
    """List the local files of every published data set without reading them.

    Args:
        root: As for :func:`~pyg_advinfonce.datasets.load_dataset`.
    """
    root = data_root(root)
    return [_stock(name, known, root) for name, known in CATALOGUE.items()]


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
        published.licence,
    )


State = Literal["ok", "differs", "missing"]


@dataclass(frozen=True)
class FileCheck:
    """Result of the verification of one file.

    Args:
        path: Path of the file, or where it is expected.
        state: ``ok`` if it is the published file, else ``differs`` or ``missing``.
        detail: Size and hashes of the file, or what was expected.
    """

    path: Path
    state: State
    detail: str


def verify(data: str, root: Path | str | None = None) -> list[FileCheck]:
    """Compare the files of a data set with the published ones.

    Args:
        data: Name of a published data set, or a folder that holds its files.
        root: As for :func:`~pyg_advinfonce.datasets.load_dataset`.

    Raises:
        UnknownNameError: If ``data`` is neither a name nor a folder.
        ConfigError: If ``data`` is not a published data set.
        DatasetNotFoundError: If none of its files exists.
    """
    place = RawFolder.named(data, data_root(root))
    folder, published = place.find(), place.published
    if published is not None:
        return check_folder(folder, published)
    name = recognise(read_files(folder))
    if name is None:
        raise ConfigError(
            f"{folder} holds no published file: expected files of a data set in "
            "`advnce data list`"
        )
    return check_folder(folder, known_set(name))


def check_folder(folder: Path, published: Published) -> list[FileCheck]:
    """Compare the files of a folder with those of a data set.

    An additional split file, which would be read with the others, is reported as
    ``differs``.
    """
    files = read_place(folder, published)
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
