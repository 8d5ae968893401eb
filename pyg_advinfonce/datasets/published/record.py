"""Records of the published data sets: files, hashes, counts and licences."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from pathlib import Path
from typing import Self

from pyg_advinfonce.datasets.base import RawFile
from pyg_advinfonce.errors import ConfigError, DatasetIntegrityError, DataWarning
from pyg_advinfonce.registry import DATASETS, resolve


@dataclass(frozen=True)
class Terms:
    """The terms of a data set's owners, as far as they are known.

    Args:
        licence: What is allowed, in one line.
        owner: The address where the owners describe the data.
        redistributable: Whether anybody may pass the data on. If not, a person has to
            accept the terms by name before the data is fetched.
        advice: What else a person should know first.
    """

    licence: str = "no licence is stated"
    owner: str = ""
    redistributable: bool = False
    advice: str = ""

    def __str__(self) -> str:
        owner = f" ({self.owner})" if self.owner else ""
        advice = f". {self.advice}" if self.advice else ""
        return f"{self.licence}{owner}{advice}"


_COMMIT = "e7c0416d6d0047343a90c338fa37cc2d8fa85da3"
_UPSTREAM = f"https://github.com/LehengTHU/AdvInfoNCE/tree/{_COMMIT}/data"

RAW_UPSTREAM = f"https://raw.githubusercontent.com/LehengTHU/AdvInfoNCE/{_COMMIT}/data"
"""Below it the published files lie as ``<folder>/<file>``."""


@dataclass(frozen=True)
class PublishedFile:
    """One file of a published data set.

    Args:
        blob: Its git blob id.
        sha256: Its hash, where known; without it a difference is only warned about.
        size: Its number of bytes, where known.
    """

    blob: str
    sha256: str | None = None
    size: int | None = None

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Return what identifies a content."""
        return cls(git_blob_id(content), sha256(content).hexdigest(), len(content))

    def difference(self, content: bytes) -> str | None:
        """Say what was expected and what the content is; None if it is this file."""
        found = self.of(content)
        pairs = [
            (self.size, found.size),
            (self.sha256, found.sha256),
            (self.blob, found.blob),
        ]
        if all(known in (None, "", there) for known, there in pairs):
            return None
        return f"expected {self}, got {found}"

    def __str__(self) -> str:
        size = "" if self.size is None else f"{self.size:,} bytes with "
        digest = f", sha256 {self.sha256}" if self.sha256 else ""
        return f"{size}git blob id {self.blob}{digest}"


@dataclass(frozen=True)
class Published:
    """One published data set.

    Args:
        name: Its name here.
        folder: The folder's name where it was published.
        num_users: The number of users.
        num_items: The number of items.
        num_pairs: The number of pairs by split.
        files: The files by name.
        overlaps: Pairs that two splits are known to share, e.g. ``train/test``.
        terms: Under which terms the data may be used.
    """

    name: str
    folder: str
    num_users: int
    num_items: int
    num_pairs: Mapping[str, int]
    files: Mapping[str, PublishedFile]
    overlaps: Mapping[str, int] = field(default_factory=dict)
    terms: Terms = field(default_factory=Terms)

    @property
    def url(self) -> str:
        """Where the files are published, to look at in a browser."""
        return f"{_UPSTREAM}/{self.folder}"

    @property
    def needed(self) -> dict[str, PublishedFile]:
        """The files by name, only the last of several that have the same content."""
        last = {file.blob: name for name, file in self.files.items()}
        return {n: file for n, file in self.files.items() if last[file.blob] == n}

    def file(self, name: str) -> PublishedFile | None:
        """Return what is known of a file, ``test.txt`` being ``test_ood.txt``."""
        return self.files.get(name) or self.files.get(_OTHER_NAME.get(name, ""))

    def path(self, folder: Path, name: str) -> Path:
        """Return where a file lies in a folder, or belongs: maybe as ``test.txt``."""
        other = next((n for n, known in _OTHER_NAME.items() if known == name), name)
        is_other = not (folder / name).is_file() and (folder / other).is_file()
        return folder / (other if is_other else name)

    def check_files(self, files: Mapping[str, RawFile]) -> None:
        """Compare the hashes of files with the published ones.

        Raises:
            DatasetIntegrityError: If a file has another content.
        """
        for name, file in files.items():
            known = self.file(name)
            if known is not None:
                _check_file(known, file)

    def check_counts(self, num_pairs: Mapping[str, int], name: str) -> None:
        """Warn of splits whose number of pairs is not the published one."""
        for split, expected in self.num_pairs.items():
            found = num_pairs.get(split)
            if found is not None and found != expected:
                warnings.warn(
                    f"{name}: expected {expected:,} {split} pairs, found {found:,}: "
                    "results cannot be compared with published ones",
                    DataWarning,
                    stacklevel=3,
                )


_OTHER_NAME = {"test.txt": "test_ood.txt"}


def _check_file(known: PublishedFile, file: RawFile) -> None:
    if known.sha256 is None:
        _warn_of_blob(known.blob, file)
    elif file.sha256 != known.sha256:
        raise DatasetIntegrityError(
            f"{file.path}: expected the published file with sha256 {known.sha256}, "
            f"found {file.sha256}: put the published file there, or name the folder "
            "by its path instead of the data set's name"
        )


def _warn_of_blob(expected: str, file: RawFile) -> None:
    found = git_blob_id(file.content)
    if found != expected:
        warnings.warn(
            f"{file.path}: expected the published file with git blob id {expected}, "
            f"found {found}: results cannot be compared with published ones",
            DataWarning,
            stacklevel=4,
        )


def git_blob_id(content: bytes) -> str:
    """Return the id that git gives to a file of this content."""
    header = f"blob {len(content)}\0".encode()
    return sha1(header + content, usedforsecurity=False).hexdigest()


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
