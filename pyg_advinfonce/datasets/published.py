"""What is known of a published data set, and the check against it."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha1

from pyg_advinfonce.datasets.data_warning import DataWarning
from pyg_advinfonce.datasets.split_files import RawFile
from pyg_advinfonce.errors import DatasetIntegrityError

_UPSTREAM = (
    "https://github.com/LehengTHU/AdvInfoNCE/tree/"
    "e7c0416d6d0047343a90c338fa37cc2d8fa85da3/data"
)


@dataclass(frozen=True)
class PublishedFile:
    """One file of a published data set.

    Args:
        blob: Its git blob id.
        sha256: Its hash, where known; without it a difference is only warned about.
    """

    blob: str
    sha256: str | None = None


@dataclass(frozen=True)
class Published:
    """One published data set.

    Args:
        folder: The folder's name where it was published.
        num_users: The number of users.
        num_items: The number of items.
        num_pairs: The number of pairs by split.
        files: The files by name.
        overlaps: Pairs that two splits are known to share, e.g. ``train/test``.
    """

    folder: str
    num_users: int
    num_items: int
    num_pairs: Mapping[str, int]
    files: Mapping[str, PublishedFile]
    overlaps: Mapping[str, int] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the files are published, to look at in a browser."""
        return f"{_UPSTREAM}/{self.folder}"

    def check_files(self, files: Mapping[str, RawFile]) -> None:
        """Compare the hashes of files with the published ones.

        Raises:
            DatasetIntegrityError: If a file has another content.
        """
        for name, file in files.items():
            known = self.files.get(name) or self.files.get(_OTHER_NAME.get(name, ""))
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
