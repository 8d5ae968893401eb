"""Location of a data set's files, and the errors about missing files."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pyg_advinfonce.datasets.base import (
    SPLIT_OF_FILE,
    RawFile,
    find_folder,
    read_files,
    split_of_file,
)
from pyg_advinfonce.datasets.published.catalogue import known_set
from pyg_advinfonce.datasets.published.entry import Published
from pyg_advinfonce.errors import ConfigError, DatasetNotFoundError
from pyg_advinfonce.registry import DATASETS


@dataclass(frozen=True)
class RawFolder:
    """Folder of a data set: the first of several places that holds its files.

    Args:
        root: Folder of the data sets' folders.
        name: Name of the data set; places are ``<root>/<name>/raw`` and
            ``<root>/<name>``.
        published: Its catalogue entry, if any; its folder name is the last place.
    """

    root: Path
    name: str
    published: Published | None = None

    @classmethod
    def named(cls, data: str, root: Path) -> Self:
        """Return the folder of a published data set, a named folder or a path.

        Raises:
            UnknownNameError: If ``data`` is neither a name nor a folder.
            ConfigError: If ``data`` is a data set without published files, or a file.
            DatasetNotFoundError: If ``data`` is a path that does not exist.
        """
        if data in DATASETS:
            return cls(root, data, known_set(data))
        path = find_folder(data, root)
        return cls(path.parent, path.name)

    def find(self) -> Path:
        """Return the first place with a train file, else the first with any split.

        An archive counts as a train file where that is what is published.

        Raises:
            DatasetNotFoundError: If no place holds a split file.
        """
        place = self.first_place()
        if place is None:
            raise self._missing(self.archive or "train.txt", *self.places)
        return place

    @property
    def archive(self) -> str | None:
        """Name of the archive that is published in place of split files, if any."""
        return None if self.published is None else self.published.archive

    @property
    def places(self) -> list[Path]:
        """Possible folders of the files, in order of preference."""
        places = [self.root / self.name / "raw", self.root / self.name]
        if self.published is not None:
            places.append(self.root / self.published.folder)
        return places

    def first_place(self) -> Path | None:
        """Return what :meth:`find` returns, or None."""
        splits = (("train.txt",), tuple(SPLIT_OF_FILE))
        for names in ((self.archive,),) if self.archive else splits:
            for place in self.places:
                if any((place / name).is_file() for name in names):
                    return place
        return None

    def read(self, *, needs_valid: bool) -> dict[str, RawFile]:
        """Read the files by name, and check that train and valid exist.

        Args:
            needs_valid: Whether ``valid.txt`` is required of split files.

        Raises:
            DatasetNotFoundError: If a file is missing; published data needs a test too.
            ConfigError: If ``valid.txt`` is missing and the data is not published.
        """
        folder = self.find()
        files = read_place(folder, self.published)
        if self.archive:
            return files
        if "train.txt" not in files:
            raise self._missing("train.txt", folder)
        if needs_valid and "valid.txt" not in files:
            raise self._without_valid(folder)
        if self.published is not None and not _has_test(files):
            raise self._missing("test.txt or test_ood.txt", folder)
        return files

    def _without_valid(self, folder: Path) -> Exception:
        if self.published is not None:
            return self._missing("valid.txt", folder)
        return ConfigError(
            f"{folder} has no valid.txt: add one, or split it off the train pairs with "
            "--valid-fraction 0.1"
        )

    def _missing(self, file: str, *places: Path) -> DatasetNotFoundError:
        looked = ", ".join(dict.fromkeys(str(place) for place in places))
        advice = "put the split files there (one user per line: user item item ...)"
        if self.published is not None:
            kind = "archive" if self.archive else "split files"
            advice = (
                f"put the {kind} there, published at {self.published.url}, e.g. "
                f"with `{self.published.fetch_command}`"
            )
        return DatasetNotFoundError(
            f"data set '{self.name}' needs {file}, not found in {looked}: {advice}, "
            "or set another root with --data-root"
        )


def read_place(folder: Path, published: Published | None) -> dict[str, RawFile]:
    """Read the split files of a folder, or the archive that is published."""
    if published is None or published.archive is None:
        return read_files(folder)
    return read_files(folder, names=(published.archive,))


def _has_test(names: Collection[str]) -> bool:
    return bool({split_of_file(name) for name in names} - {"train", "valid", None})
