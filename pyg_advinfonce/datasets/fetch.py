"""Fetching the published files of a data set."""

from pathlib import Path

from pyg_advinfonce.datasets.fetch_job import FetchJob
from pyg_advinfonce.datasets.fetch_watcher import FetchWatcher
from pyg_advinfonce.datasets.known_sets import known_set
from pyg_advinfonce.datasets.published import RAW_UPSTREAM
from pyg_advinfonce.datasets.terms import Terms
from pyg_advinfonce.datasets.web_access import WebAccess
from pyg_advinfonce.errors import ConfigError, DatasetNotFoundError


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
