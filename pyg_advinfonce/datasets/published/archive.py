"""Access to owners' files in a folder or an untrusted archive."""

import lzma
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from pyg_advinfonce.errors import DataError, DatasetNotFoundError

MAX_MEMBERS = 10_000
MAX_BYTES = 8 * 2**30


def is_archive(path: Path) -> bool:
    """Return whether a file is a zip or tar archive."""
    return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)


def extract_files(archive: Path, names: Collection[str], into: Path) -> dict[str, Path]:
    """Extract the files of the given names, at any depth, into a folder.

    All members are checked before anything is written. The archive is rejected if it
    holds an absolute path, a path with ``..``, a link, a device, too many members or a
    member that is too large.

    Args:
        archive: Zip or tar file; a tar file may be compressed.
        names: Names of the files to extract.
        into: Folder to write to.

    Returns:
        Paths of the files found, by name.

    Raises:
        DataError: If the archive is damaged or unsafe or holds a name twice.
    """
    with _archive_errors(archive):
        if zipfile.is_zipfile(archive):
            return _extract_zip(archive, names, into)
        return _extract_tar(archive, names, into)


def _extract_zip(path: Path, names: Collection[str], into: Path) -> dict[str, Path]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        check = _MemberCheck(path, names)
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16)
            plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
            check.add(member.filename, member.file_size, is_plain=plain)
        found = {}
        for name, full in check.wanted.items():
            with archive.open(full) as source:
                found[name] = _write(source, into / name)
        return found


def _extract_tar(path: Path, names: Collection[str], into: Path) -> dict[str, Path]:
    with tarfile.open(path) as archive:
        check = _MemberCheck(path, names)
        for member in archive:
            plain = member.isreg() or member.isdir()
            check.add(member.name, member.size, is_plain=plain)
        found = {}
        for name, full in check.wanted.items():
            source = archive.extractfile(full)
            if source is not None:
                found[name] = _write(source, into / name)
        return found


class _MemberCheck:
    """Checks the members of an archive and collects those to extract."""

    def __init__(self, archive: Path, names: Collection[str]) -> None:
        self._archive, self._names = archive, names
        self._count = self._bytes = 0
        self.wanted: dict[str, str] = {}

    def add(self, full: str, size: int, *, is_plain: bool) -> None:
        self._count, self._bytes = self._count + 1, self._bytes + size
        if self._count > MAX_MEMBERS or self._bytes > MAX_BYTES:
            self._reject(f"more than {MAX_MEMBERS:,} members or {MAX_BYTES:,} bytes")
        name = PurePosixPath(full.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or full[1:2] == ":":
            self._reject(f"the member {full[:80]!r} outside of the archive")
        if not is_plain:
            self._reject(f"the member {full[:80]!r}, a link or a device")
        if name.name in self._names and not full.endswith("/"):
            if name.name in self.wanted:
                self._reject(f"{name.name} twice")
            self.wanted[name.name] = full

    def _reject(self, what: str) -> None:
        raise DataError(f"{self._archive}: expected a safe archive, found {what}")


def _write(source: IO[bytes], path: Path) -> Path:
    """Copy a member; ``source`` ends at the member's declared number of bytes."""
    with path.open("wb") as target:
        shutil.copyfileobj(source, target)
    return path


@contextmanager
def _archive_errors(archive: Path) -> Iterator[None]:
    damaged = (
        *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError),
        *(RuntimeError, NotImplementedError, ValueError, OSError),
    )
    try:
        yield
    except DataError:
        raise
    except damaged as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{archive}: expected a readable archive ({reason})") from error


@contextmanager
def raw_files(raw: Path, names: Sequence[str]) -> Iterator[Mapping[str, Path]]:
    """Provide the paths of a source's files within the ``with`` block.

    Args:
        raw: Folder that holds the files, at any depth, or a zip or tar archive.
        names: Names of the files.

    Raises:
        DatasetNotFoundError: If a file is missing, or ``raw`` does not exist.
        DataError: If the archive is damaged or unsafe.
    """
    if raw.is_file() and is_archive(raw):
        with tempfile.TemporaryDirectory(prefix="advnce-") as folder:
            yield _complete(raw, extract_files(raw, names, Path(folder)), names)
    else:
        found = {name: path for name in names for path in _locate(raw, name)}
        yield _complete(raw, found, names)


def _locate(raw: Path, name: str) -> list[Path]:
    """Return the path of a file of this name that is nearest to ``raw``, if any."""
    if (raw / name).is_file():
        return [raw / name]
    found = sorted(raw.rglob(name), key=lambda path: (len(path.parts), path))
    return [path for path in found if path.is_file()][:1]


def _complete(
    raw: Path, found: Mapping[str, Path], names: Sequence[str]
) -> Mapping[str, Path]:
    missing = [name for name in names if name not in found]
    if missing:
        raise DatasetNotFoundError(
            f"{raw}: expected a folder or archive that holds {', '.join(names)}; "
            f"{', '.join(missing)} not found"
        )
    return found
