"""One process at a time in a run's folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pyg_advinfonce.errors import ConfigError

LOCK = ".lock"


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Keep other processes from training, or replacing, the same run meanwhile.

    The operating system holds the lock and takes it back when the process ends, by
    whatever cause. A file system that has no locks has none here.

    Args:
        folder: The run's folder, which exists.

    Raises:
        ConfigError: If another process holds it.
    """
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        reason = f"another process is training {folder}: wait until it ends"
        raise ConfigError(reason) from error
    except (NotImplementedError, OSError):
        yield
        return
    try:
        yield
    finally:
        lock.release()
