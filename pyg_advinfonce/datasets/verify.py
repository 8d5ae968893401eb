"""Whether the files of a published data set are the published ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pyg_advinfonce.datasets.known_sets import known_set, recognise
from pyg_advinfonce.datasets.load import find_folder
from pyg_advinfonce.datasets.published import Published, PublishedFile
from pyg_advinfonce.datasets.raw_folder import RawFolder
from pyg_advinfonce.datasets.split_files import read_files
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.registry import DATASETS

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
    if data in DATASETS:
        published = known_set(data)
        return check_folder(RawFolder(root, data, published).find(), published)
    path = find_folder(data, root)
    folder = RawFolder(path.parent, path.name).find()
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
