"""One file from an address to a folder: all of it, checked, or nothing."""

import os
import time
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO

from pyg_advinfonce.datasets.fetch_watcher import FetchWatcher
from pyg_advinfonce.datasets.published import PublishedFile
from pyg_advinfonce.datasets.web_access import WebAccess
from pyg_advinfonce.errors import DatasetIntegrityError, DownloadError

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
