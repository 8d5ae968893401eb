"""Downloading the published files of a data set."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from pyg_advinfonce.datasets.published.check import FileCheck, check_folder
from pyg_advinfonce.datasets.published.place import RawFolder
from pyg_advinfonce.datasets.published.record import (
    RAW_UPSTREAM,
    Published,
    PublishedFile,
    Terms,
    known_set,
)
from pyg_advinfonce.datasets.published.web import WebAccess
from pyg_advinfonce.errors import (
    ConfigError,
    DatasetIntegrityError,
    DatasetNotFoundError,
    DownloadError,
)


class FetchWatcher:
    """Told of everything that is fetched; this one says nothing."""

    def say(self, text: str) -> None:
        """Pass a line on to a person."""

    def start(self, file: str, size: int | None) -> None:
        """Take note of a file that begins, and its size in bytes where it is known."""

    def receive(self, num_bytes: int) -> None:
        """Take note of so many bytes of that file."""

    def finish(self) -> None:
        """Take note of that file's end, be it good or bad."""


MAX_BYTES = 64 * 2**20
"""The most that a file may have whose size is not known; published ones are smaller."""

CHUNK = 2**16
TIMEOUTS = 60  # the most that one file may take, however steadily it drips


def download(
    url: str,
    target: Path,
    known: PublishedFile,
    access: WebAccess,
    watcher: FetchWatcher,
) -> None:
    """Download a file whose content is known; a reader sees all of it or nothing.

    Args:
        url: The address.
        target: The file to write, in a folder that is there and that nobody else
            downloads into at the same time.
        known: What the file must be.
        access: How the address is opened.
        watcher: Told of what is received.

    Raises:
        DatasetIntegrityError: If what was received is something else.
        DownloadError: If it cannot be received.
    """
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    watcher.start(target.name, known.size)
    limit = MAX_BYTES if known.size is None else known.size
    try:
        with access.open(url) as response, part.open("xb") as file:
            for chunk in _chunks(response, url, limit, access.timeout):
                file.write(chunk)
                watcher.receive(len(chunk))
            _flush(file)
        _check(part.read_bytes(), url, known, limit)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
        watcher.finish()


def _chunks(
    response: HTTPResponse, url: str, limit: int, timeout: float
) -> Iterator[bytes]:
    """Yield what comes, at most one byte beyond the limit, until it ends or breaks."""
    left, until = limit + 1, time.monotonic() + TIMEOUTS * timeout
    while left > 0 and (chunk := _read(response, url, min(left, CHUNK), timeout)):
        left -= len(chunk)
        yield chunk
        if time.monotonic() > until:
            raise DownloadError(f"{url}: not complete after {TIMEOUTS * timeout:g} s")


def _read(response: HTTPResponse, url: str, size: int, timeout: float) -> bytes:
    """Return some bytes, or none if the response has ended or broken off."""
    try:
        return response.read1(size)
    except TimeoutError:
        raise DownloadError(f"{url}: nothing came for {timeout:g} s") from None
    except (OSError, HTTPException):
        return b""


def _flush(file: BinaryIO) -> None:
    """Have the content on disk before the name: a crash must not part them."""
    file.flush()
    os.fsync(file.fileno())


def _check(content: bytes, url: str, known: PublishedFile, limit: int) -> None:
    difference = known.difference(content)
    if len(content) > limit:
        difference = f"expected {known}, got more than {limit:,} bytes"
    if difference is None:
        return
    raise DatasetIntegrityError(
        f"{url}: {difference}{_guess(content, known)}: nothing was kept, try again or "
        "use another address"
    )


def _guess(content: bytes, known: PublishedFile) -> str:
    start = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return " (an HTML page, not data)"
    is_short = known.size is not None and len(content) < known.size
    return " (cut off)" if is_short else ""


@dataclass(frozen=True)
class FetchJob:
    """One data set, on its way from an address to a folder.

    Args:
        name: The data set's name.
        published: What its files must be.
        root: The folder that holds the data sets' folders.
        base: The address below which its files lie.
        watcher: Told of progress.
    """

    name: str
    published: Published
    root: Path
    base: str
    watcher: FetchWatcher

    @property
    def folder(self) -> Path:
        """Where the files are written."""
        return self.root / self.name / "raw"

    def complete_place(self) -> Path | None:
        """Return the folder that would be read, if it holds all the files."""
        place = RawFolder(self.root, self.name, self.published).first_place()
        if place is None:
            return None
        checks = check_folder(place, self.published)
        return place if all(check.state == "ok" for check in checks) else None

    def missing(self) -> list[Path]:
        """Return the files to download; another file in their place is an error."""
        checks = check_folder(self.folder, self.published)
        for check in checks:
            if check.state == "differs":
                raise _is_another(check)
        return [check.path for check in checks if check.state == "missing"]

    def run(self, access: WebAccess) -> None:
        """Download the missing files, or wait until another process has done it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            for path in self.missing():
                self._download(path, access)
        self.watcher.say(f"{self.name}: all files are in {self.folder} and verified")

    def by_hand(self) -> str:
        """Say which file to put where."""
        names = " ".join(path.name for path in self.missing())
        return (
            f"put into {self.folder} by hand: {names}, from "
            f"{RAW_UPSTREAM}/{self.published.folder}/<file>"
        )

    def _download(self, path: Path, access: WebAccess) -> None:
        known = self.published.needed[path.name]
        try:
            download(f"{self.base}/{path.name}", path, known, access, self.watcher)
        except DownloadError as error:
            raise DownloadError(f"{error}; {self.by_hand()}") from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from downloading the same data set meanwhile."""
        lock = FileLock(self.folder.parent / ".fetch.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self.watcher.say(f"{self.name}: waiting for another process to fetch it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def _is_another(check: FileCheck) -> DatasetIntegrityError:
    return DatasetIntegrityError(
        f"{check.path}: {check.detail}: it is not overwritten, move it away first"
    )


def fetch(
    name: str,
    root: Path = Path("data"),
    *,
    accept_terms: str | None = None,
    offline: bool = False,
    mirror: str | None = None,
    insecure: str | None = None,
    timeout: float = 30.0,
    watcher: FetchWatcher | None = None,
) -> Path:
    """Download the files of a published data set that are not there yet.

    Every file's size and hashes are compared with the published ones before it gets
    its name. Of several processes one downloads, the others wait for it.

    Args:
        name: The data set's name.
        root: The folder that holds the data sets' folders; the files are written to
            ``<root>/<name>/raw``.
        accept_terms: The data set's name again, if you accept its terms; needed where
            the data may not be redistributed.
        offline: Download nothing, say what is missing.
        mirror: Another address below which the files lie as ``<folder>/<file>``.
        insecure: The one host whose certificate is not checked; with a warning.
        timeout: The most seconds to wait for a sign of life.
        watcher: Told of terms and progress.

    Returns:
        The folder that holds the files.

    Raises:
        UnknownNameError: If there is no such data set.
        ConfigError: If it has no published files, its terms are not accepted, or an
            address may not be used.
        DatasetNotFoundError: If files are missing and cannot be downloaded; it says
            which to put where.
        DatasetIntegrityError: If a file is not the published one.
        OSError: If the folder cannot be written to.
    """
    published, watcher = known_set(name), watcher or FetchWatcher()
    base = (mirror or RAW_UPSTREAM).rstrip("/")
    job = FetchJob(name, published, root, f"{base}/{published.folder}", watcher)
    access = WebAccess(insecure, timeout)
    access.check(job.base)
    _check_same(name, accept_terms)
    place = job.complete_place()
    if place is None and accept_terms is None:
        _check_free(name, published.terms)
    watcher.say(f"{name}: {published.terms}")
    if place is not None:
        watcher.say(f"{name}: all files are in {place}, nothing to download")
        return place
    if offline:
        raise DatasetNotFoundError(f"nothing is downloaded offline: {job.by_hand()}")
    job.run(access)
    return job.folder


def _check_same(name: str, accepted: str | None) -> None:
    if accepted not in (None, name):
        raise ConfigError(
            f"--accept-terms names '{accepted}', but '{name}' is to be fetched"
        )


def _check_free(name: str, terms: Terms) -> None:
    if not terms.redistributable:
        raise ConfigError(
            f"the terms of '{name}' have to be accepted first: {terms}; if you accept "
            f"them, add --accept-terms {name}"
        )
