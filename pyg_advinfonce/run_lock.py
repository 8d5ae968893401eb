"""One process at a time in a run's folder."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pyg_advinfonce.errors import ConfigError

LOCK = ".lock"
NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Keep other processes from training, or replacing, the same run meanwhile.

    The operating system holds the lock and takes it back when the process ends, by
    whatever cause; on a file system without locks there is none, or a file that has
    to be deleted.

    Args:
        folder: The run's folder, which exists.

    Raises:
        ConfigError: If another process holds it, or the folder cannot be written.
    """
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigError(
            f"another process is training {folder}: wait until it ends (if there is "
            f"none, delete {folder / LOCK})"
        ) from error
    except NotImplementedError:
        pass
    except OSError as error:
        if error.errno not in NO_LOCKS:
            reason = f"cannot write {folder / LOCK}: {error.strerror or error}"
            raise ConfigError(reason) from error
    try:
        yield
    finally:
        lock.release()
