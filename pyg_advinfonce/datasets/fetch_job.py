"""What a download of a data set consists of."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from pyg_advinfonce.datasets.download import download
from pyg_advinfonce.datasets.fetch_watcher import FetchWatcher
from pyg_advinfonce.datasets.published import RAW_UPSTREAM, Published
from pyg_advinfonce.datasets.raw_folder import RawFolder
from pyg_advinfonce.datasets.verify import FileCheck, check_folder
from pyg_advinfonce.datasets.web_access import WebAccess
from pyg_advinfonce.errors import DatasetIntegrityError, DownloadError


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
