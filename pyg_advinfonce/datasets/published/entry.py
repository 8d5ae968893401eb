"""Entries of the catalogue: files with their hashes, counts and licences."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pyg_advinfonce.datasets.base import RawFile
from pyg_advinfonce.errors import DatasetIntegrityError, DataWarning

if TYPE_CHECKING:
    from pyg_advinfonce.datasets.base import Summary


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


@dataclass(frozen=True)
class PublishedFile:
    """One file of a published data set.

    Args:
        blob: Its git blob id; empty if unknown.
        sha256: Its hash, if known. If it is unknown, different content only raises a
            warning.
        size: Its number of bytes, if known.
        source: Its name where it is published, if another.
    """

    blob: str
    sha256: str | None = None
    size: int | None = None
    source: str | None = None

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
        blob = f"git blob id {self.blob}" if self.blob else ""
        digest = f"sha256 {self.sha256}" if self.sha256 else ""
        return size + ", ".join(filter(None, (blob, digest)))


@dataclass(frozen=True)
class Upstream:
    """Place where files are published.

    Args:
        files: Base URL of ``<folder>/<file>``.
        page: Base URL of the web page ``<folder>``.
    """

    files: str
    page: str


@dataclass(frozen=True)
class Published:
    """Catalogue entry of a published data set.

    Without ``valid.txt`` among the files, a share of the train pairs becomes valid.

    Args:
        name: Name in this library.
        upstream: Place of its files.
        folder: Name of its folder there.
        files: Files by name: split files, or one archive of the owners' files.
        licence: Licence of the data.
        num_users: Number of users, if known.
        num_items: Number of items, if known.
        num_pairs: Known numbers of pairs by split.
        overlaps: Known number of pairs that two splits share, e.g. by ``train/test``.
        format: Format of the split files; see
            :class:`~pyg_advinfonce.datasets.InteractionDataset`.
        positive_if: Condition for a positive line of triples.
        own_ids: Whether ids of split files are not row numbers from 0: users and items
            are numbered in order of their ids, which are kept.
    """

    name: str
    upstream: Upstream
    folder: str
    files: Mapping[str, PublishedFile]
    licence: Licence = field(default_factory=Licence)
    num_users: int | None = None
    num_items: int | None = None
    num_pairs: Mapping[str, int] = field(default_factory=dict)
    overlaps: Mapping[str, int] = field(default_factory=dict)
    format: str = "auto"
    positive_if: str | None = None
    own_ids: bool = False

    @property
    def url(self) -> str:
        """Web page of the published files."""
        return f"{self.upstream.page}/{self.folder}"

    @property
    def fetch_command(self) -> str:
        """The command that downloads the files, and accepts the terms if need be."""
        command = f"advnce data fetch {self.name}"
        is_free = self.licence.redistributable
        return command if is_free else f"{command} --accept-terms {self.name}"

    @property
    def archive(self) -> str | None:
        """Name of the archive of the owners' files, if that is what is published."""
        return next((name for name in self.files if name.endswith(".zip")), None)

    @property
    def is_converted(self) -> bool:
        """Whether the files are not lists of row numbers, as split files are."""
        return self.own_ids or self.format != "auto" or self.archive is not None

    @property
    def valid_fraction(self) -> float | None:
        """Share of the train pairs that becomes valid; None with a published valid."""
        is_split = "valid.txt" in self.files or self.archive is not None
        return None if is_split else VALID_FRACTION

    @property
    def needed(self) -> dict[str, PublishedFile]:
        """Required files by name; among files of equal content only the last."""
        last = {file: name for name, file in self.files.items()}
        return {n: file for n, file in self.files.items() if last[file] == n}

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

    def check_counts(self, summary: "Summary") -> None:
        """Warn if a number of users, items or pairs is not the published one.

        Fewer users or items are not: those without a pair may have been dropped.
        """
        pairs = dict(summary["pairs"])
        if "valid" not in self.num_pairs:  # a share of train
            pairs["train"] += pairs.get("valid", 0)
        wrong = [
            (f"{split} pairs", expected, pairs[split])
            for split, expected in self.num_pairs.items()
            if pairs.get(split, expected) != expected
        ]
        for kind, known, found in (
            ("users", self.num_users, summary["users"]),
            ("items", self.num_items, summary["items"]),
        ):
            if known is not None and found > known:
                wrong.append((kind, known, found))
        for kind, known, found in wrong:
            warnings.warn(
                f"{self.name}: expected {known:,} {kind}, found {found:,}: results "
                "cannot be compared with published ones",
                DataWarning,
                stacklevel=3,
            )


VALID_FRACTION = 0.1
"""Share of train that becomes valid where none is published, as in the NGCF paper."""

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
