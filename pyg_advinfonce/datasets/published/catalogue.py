"""Catalogue of the published data sets: files, hashes, counts and licences."""

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
class Licence:
    """Licence of a data set, as far as it is known.

    Args:
        text: The permitted use in one line.
        owner: URL of the owners' description of the data.
        redistributable: Whether redistribution is allowed. If not, the licence must be
            accepted by name before the data is downloaded.
        advice: A further recommendation.
    """

    text: str = "no licence is stated"
    owner: str = ""
    redistributable: bool = False
    advice: str = ""

    def __str__(self) -> str:
        owner = f" ({self.owner})" if self.owner else ""
        advice = f". {self.advice}" if self.advice else ""
        return f"{self.text}{owner}{advice}"


_COMMIT = "e7c0416d6d0047343a90c338fa37cc2d8fa85da3"
_UPSTREAM = f"https://github.com/LehengTHU/AdvInfoNCE/tree/{_COMMIT}/data"

RAW_UPSTREAM = f"https://raw.githubusercontent.com/LehengTHU/AdvInfoNCE/{_COMMIT}/data"
"""Base URL of the published files ``<folder>/<file>``."""


@dataclass(frozen=True)
class PublishedFile:
    """One file of a published data set.

    Args:
        blob: Its git blob id.
        sha256: Its hash, if known. If it is unknown, different content only raises a
            warning.
        size: Its number of bytes, if known.
    """

    blob: str
    sha256: str | None = None
    size: int | None = None

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Return the hashes and the size of a file with this content."""
        return cls(git_blob_id(content), sha256(content).hexdigest(), len(content))

    def difference(self, content: bytes) -> str | None:
        """Return how content differs from the published file; None if it does not."""
        found = self.of(content)
        pairs = [
            (self.size, found.size),
            (self.sha256, found.sha256),
            (self.blob, found.blob),
        ]
        if all(known in (None, "", actual) for known, actual in pairs):
            return None
        return f"expected {self}, got {found}"

    def __str__(self) -> str:
        size = "" if self.size is None else f"{self.size:,} bytes with "
        digest = f", sha256 {self.sha256}" if self.sha256 else ""
        return f"{size}git blob id {self.blob}{digest}"


@dataclass(frozen=True)
class Published:
    """Catalogue entry of a published data set.

    Args:
        name: Name in this library.
        folder: Name of its folder where it is published.
        num_users: Number of users.
        num_items: Number of items.
        num_pairs: Number of pairs by split.
        files: Files by name.
        overlaps: Known number of pairs that two splits share, e.g. by ``train/test``.
        licence: Licence of the data.
    """

    name: str
    folder: str
    num_users: int
    num_items: int
    num_pairs: Mapping[str, int]
    files: Mapping[str, PublishedFile]
    overlaps: Mapping[str, int] = field(default_factory=dict)
    licence: Licence = field(default_factory=Licence)

    @property
    def url(self) -> str:
        """Web page of the published files."""
        return f"{_UPSTREAM}/{self.folder}"

    @property
    def needed(self) -> dict[str, PublishedFile]:
        """Required files by name; among files of equal content only the last."""
        last = {file.blob: name for name, file in self.files.items()}
        return {n: file for n, file in self.files.items() if last[file.blob] == n}

    def file(self, name: str) -> PublishedFile | None:
        """Return the entry of a file; ``test.txt`` is an alias of ``test_ood.txt``."""
        return self.files.get(name) or self.files.get(_OTHER_NAME.get(name, ""))

    def path(self, folder: Path, name: str) -> Path:
        """Return the path of a file in a folder, under its alias if that exists."""
        other = next((n for n, known in _OTHER_NAME.items() if known == name), name)
        is_other = not (folder / name).is_file() and (folder / other).is_file()
        return folder / (other if is_other else name)

    def check_files(self, files: Mapping[str, RawFile]) -> None:
        """Compare the hashes of files with the published ones.

        Raises:
            DatasetIntegrityError: If a file has different content.
        """
        for name, file in files.items():
            known = self.file(name)
            if known is not None:
                _check_file(known, file)

    def check_counts(self, num_pairs: Mapping[str, int], name: str) -> None:
        """Warn if the number of pairs of a split is not the published one."""
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
            f"found {file.sha256}: restore the published file, or pass the path of the "
            "folder instead of the data set's name"
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
    """Return the git blob id of a file with this content."""
    header = f"blob {len(content)}\0".encode()
    return sha1(header + content, usedforsecurity=False).hexdigest()


def known_sets() -> dict[str, Published]:
    """Return the catalogue entries of all published data sets, by name."""
    found = {name: _published(name) for name in DATASETS}
    return {name: known for name, known in found.items() if known is not None}


def known_set(name: str) -> Published:
    """Return the catalogue entry of a published data set.

    Raises:
        UnknownNameError: If the name is unknown.
        ConfigError: If the data set has no published files.
    """
    published = _published(name)
    if published is None:
        raise ConfigError(
            f"data set '{name}' has no published files: choose from "
            f"{', '.join(known_sets())}"
        )
    return published


def recognise(files: Mapping[str, RawFile]) -> str | None:
    """Return the published data set that matches most files, or None."""
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
