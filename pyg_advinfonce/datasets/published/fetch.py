"""Download of the published files of a data set."""

import re
from pathlib import Path

from pyg_advinfonce.datasets.published.catalogue import known_set
from pyg_advinfonce.datasets.published.check import check_folder
from pyg_advinfonce.datasets.published.entry import Published, PublishedFile
from pyg_advinfonce.datasets.published.place import RawFolder
from pyg_advinfonce.datasets.published.web import WebAccess
from pyg_advinfonce.errors import (
    ConfigError,
    DatasetIntegrityError,
    DatasetNotFoundError,
    DownloadError,
)
from pyg_advinfonce.files import locked, whole_file, writing
from pyg_advinfonce.progress import Progress
from pyg_advinfonce.registry import data_root

MAX_BYTES = 64 * 2**20
"""Upper bound for a file of unknown size; published files are smaller."""

_HTML = re.compile(rb"[\xef\xbb\xbf\s]*<(!doctype html|html)", re.IGNORECASE)
ADVICE = "set another root with --data-root"


def fetch(
    name: str,
    root: Path | str | None = None,
    *,
    accept_terms: str | None = None,
    offline: bool = False,
    mirror: str | None = None,
    insecure: str | None = None,
    timeout: float = 30.0,
    progress: Progress = Progress(),
) -> Path:
    """Download the missing files of a published data set.

    Size and hashes of a file are verified before it is written. If several processes
    fetch the same data set, one downloads and the others wait.

    Args:
        name: Name of the data set.
        root: As for :func:`~pyg_advinfonce.datasets.load_dataset`; files are written
            to ``<root>/<name>/raw``.
        accept_terms: ``name`` again, to accept the licence; required if the data is
            not redistributable.
        offline: Download nothing; raise an error that lists the missing files.
        mirror: Alternative base URL, with files at ``<folder>/<file>``.
        insecure: Host whose certificate is not verified; raises a warning.
        timeout: Timeout of a connection and of a read, in seconds.
        progress: Receives the licence, and the bytes of each file.

    Returns:
        The folder that holds the files.

    Raises:
        UnknownNameError: If the name is unknown.
        ConfigError: If the data set has no published files, its licence is not
            accepted, a URL is not allowed or the folder cannot be written.
        DatasetNotFoundError: If files are missing and cannot be downloaded; the
            message says what to put where.
        DatasetIntegrityError: If a file is not the published one.
    """
    published, root = known_set(name), data_root(root)
    access = WebAccess(insecure, timeout)
    upstream = mirror or published.upstream.files
    base = f"{upstream.rstrip('/')}/{published.folder}"
    access.check(base)
    if accept_terms not in (None, name):
        raise ConfigError(f"expected --accept-terms {name}, got '{accept_terms}'")
    place = RawFolder(root, name, published).first_place()
    is_complete = place is not None and all(
        check.state == "ok" for check in check_folder(place, published)
    )
    if not (is_complete or accept_terms or published.licence.redistributable):
        raise ConfigError(
            f"'{name}' requires that you accept its terms: {published.licence}; to "
            f"accept them: `{published.fetch_command}`"
        )
    progress.say(f"{name}: {published.licence}")
    if place is not None and is_complete:
        progress.say(f"{name}: all files are in {place}, nothing to download")
        return place
    folder = root / name / "raw"
    if offline:
        advice = _manual_advice(folder, published)
        raise DatasetNotFoundError(f"downloads are disabled by --offline: {advice}")
    with writing(folder, ADVICE):
        folder.mkdir(parents=True, exist_ok=True)
    waiting = f"{name}: waiting for another process that fetches it"
    with locked(folder.parent / ".fetch.lock", waiting=waiting, progress=progress):
        for file in _missing(folder, published):
            known = published.needed[file]
            url = f"{base}/{known.source or file}"
            try:
                content = _download(url, known, access, progress)
            except DownloadError as error:
                advice = _manual_advice(folder, published)
                raise DownloadError(f"{error}; {advice}") from error
            with writing(folder / file, ADVICE):
                for remains in folder.glob(f".{file}.*"):  # left by a killed process
                    remains.unlink()
                with whole_file(folder / file) as unfinished:
                    unfinished.write_bytes(content)
    progress.say(f"{name}: all files are in {folder} and verified")
    return folder


def _missing(folder: Path, published: Published) -> list[str]:
    """Return the files to download; a file of other content is an error."""
    checks = check_folder(folder, published)
    for check in checks:
        if check.state == "differs":
            raise DatasetIntegrityError(
                f"{check.path}: {check.detail}: it is not overwritten, move or delete "
                "it first"
            )
    return [check.path.name for check in checks if check.state == "missing"]


def _manual_advice(folder: Path, published: Published) -> str:
    names = [
        f"{name} (there {source})"
        if (source := published.needed[name].source)
        else name
        for name in _missing(folder, published)
    ]
    source = f"{published.upstream.files}/{published.folder}/<file>"
    return f"put into {folder} by hand: {' '.join(names)}, from {source}"


def _download(
    url: str, known: PublishedFile, access: WebAccess, progress: Progress
) -> bytes:
    """Return the verified content of a file."""
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
        f"{url}: {difference}{guess}: the file was discarded, try again or use "
        "another mirror"
    )
