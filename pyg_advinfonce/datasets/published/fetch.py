"""Downloading the published files of a data set."""

import re
from pathlib import Path

from pyg_advinfonce.datasets.published.check import check_folder
from pyg_advinfonce.datasets.published.place import RawFolder
from pyg_advinfonce.datasets.published.record import (
    RAW_UPSTREAM,
    Published,
    PublishedFile,
    known_set,
)
from pyg_advinfonce.datasets.published.web import WebAccess
from pyg_advinfonce.errors import (
    ConfigError,
    DatasetIntegrityError,
    DatasetNotFoundError,
    DownloadError,
)
from pyg_advinfonce.files import locked, whole_file, writing
from pyg_advinfonce.progress import Progress

MAX_BYTES = 64 * 2**20
"""The most that a file may have whose size is not known; published ones are smaller."""

_HTML = re.compile(rb"[\xef\xbb\xbf\s]*<(!doctype html|html)", re.IGNORECASE)
ADVICE = "name another root by --data-root"


def fetch(
    name: str,
    root: Path = Path("data"),
    *,
    accept_terms: str | None = None,
    offline: bool = False,
    mirror: str | None = None,
    insecure: str | None = None,
    timeout: float = 30.0,
    progress: Progress = Progress(),
) -> Path:
    """Download the files of a published data set that are not there yet.

    Every file's size and hashes are compared with the published ones before it is
    written. Of several processes one downloads, the others wait for it.

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
        progress: Receives the terms, and each file in bytes.

    Returns:
        The folder that holds the files.

    Raises:
        UnknownNameError: If there is no such data set.
        ConfigError: If it has no published files, its terms are not accepted, an
            address may not be used or the folder cannot be written.
        DatasetNotFoundError: If files are missing and cannot be downloaded; it says
            which to put where.
        DatasetIntegrityError: If a file is not the published one.
    """
    published = known_set(name)
    access = WebAccess(insecure, timeout)
    base = f"{(mirror or RAW_UPSTREAM).rstrip('/')}/{published.folder}"
    access.check(base)
    if accept_terms not in (None, name):
        raise ConfigError(
            f"--accept-terms names '{accept_terms}', but '{name}' is to be fetched"
        )
    place = RawFolder(root, name, published).first_place()
    is_complete = place is not None and all(
        check.state == "ok" for check in check_folder(place, published)
    )
    if not (is_complete or accept_terms or published.terms.redistributable):
        raise ConfigError(
            f"the terms of '{name}' have to be accepted first: {published.terms}; if "
            f"you accept them, add --accept-terms {name}"
        )
    progress.say(f"{name}: {published.terms}")
    if place is not None and is_complete:
        progress.say(f"{name}: all files are in {place}, nothing to download")
        return place
    folder = root / name / "raw"
    if offline:
        by_hand = _by_hand(folder, published)
        raise DatasetNotFoundError(f"nothing is downloaded offline: {by_hand}")
    with writing(folder, ADVICE):
        folder.mkdir(parents=True, exist_ok=True)
    waiting = f"{name}: waiting for another process to fetch it"
    with locked(folder.parent / ".fetch.lock", lambda: progress.say(waiting)):
        for file in _missing(folder, published):
            url, known = f"{base}/{file}", published.needed[file]
            try:
                content = _download(url, known, access, progress)
            except DownloadError as error:
                by_hand = _by_hand(folder, published)
                raise DownloadError(f"{error}; {by_hand}") from error
            with writing(folder / file, ADVICE):
                for remains in folder.glob(f".{file}.*"):  # of a killed process
                    remains.unlink()
                with whole_file(folder / file) as unfinished:
                    unfinished.write_bytes(content)
    progress.say(f"{name}: all files are in {folder} and verified")
    return folder


def _missing(folder: Path, published: Published) -> list[str]:
    """Return the files to download; another file in their place is an error."""
    checks = check_folder(folder, published)
    for check in checks:
        if check.state == "differs":
            raise DatasetIntegrityError(
                f"{check.path}: {check.detail}: it is not overwritten, move it away "
                "first"
            )
    return [check.path.name for check in checks if check.state == "missing"]


def _by_hand(folder: Path, published: Published) -> str:
    names = " ".join(_missing(folder, published))
    source = f"{RAW_UPSTREAM}/{published.folder}/<file>"
    return f"put into {folder} by hand: {names}, from {source}"


def _download(
    url: str, known: PublishedFile, access: WebAccess, progress: Progress
) -> bytes:
    """Return the content of a file; any other content is an error."""
    limit = MAX_BYTES if known.size is None else known.size
    progress.start(url.rpartition("/")[2], known.size, unit="B")
    try:
        content = access.read(url, limit, progress.advance)
    finally:
        progress.finish()
    difference, guess = known.difference(content), ""
    if difference is None and len(content) <= limit:
        return content
    if len(content) > limit:
        difference = f"expected {known}, got more than {limit:,} bytes"
    if _HTML.match(content):
        guess = " (an HTML page, not data)"
    elif known.size is not None and len(content) < known.size:
        guess = " (cut off)"
    raise DatasetIntegrityError(
        f"{url}: {difference}{guess}: nothing was kept, try again or use another "
        "address"
    )
