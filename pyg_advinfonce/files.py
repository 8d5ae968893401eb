"""File access: atomic writes, locks, and content safe for JSON and spreadsheets."""

import errno
import io
import math
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from pyg_advinfonce.errors import AdvInfoNCEError, ConfigError, DataError
from pyg_advinfonce.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

MAX_BYTES = 64 * 2**30
"""Largest size of a file that is read in parts, after decompression."""

MAX_LINE = 16 * 2**20
"""Largest size of a line in such a file."""

NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)


def without_nan(values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Replace NaN and infinity, which JSON does not allow, by None."""
    return {
        k: v if v is not None and math.isfinite(v) else None for k, v in values.items()
    }


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write a file atomically: yield a temporary path that then replaces ``path``.

    Other processes see the old file or the complete new file, also after a crash. The
    temporary file is removed on an error.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


@contextmanager
def writing(path: Path, advice: str = "") -> Iterator[None]:
    """Convert a failure to write into an error that names the file.

    Args:
        path: The path for the message.
        advice: What to do, appended to the message.

    Raises:
        ConfigError: On an ``OSError``, or if a path holds a null byte.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) and "embedded null" not in str(error):
            raise
        message = f"cannot write {path}: {getattr(error, 'strerror', None) or error}"
        raise ConfigError(f"{message}; {advice}" if advice else message) from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Convert a failure to read into an error that names the file.

    Raises:
        DataError: On an ``OSError``.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path}: expected a readable file ({reason})") from None


def regular_file(path: Path, max_bytes: int | None = None) -> None:
    """Check that a path is a regular file: reading others may block or never end.

    Args:
        path: The path.
        max_bytes: Largest size, for a file that is read as a whole.

    Raises:
        DataError: If it does not exist, is a folder, a pipe or a device or too large.
    """
    with reading(path):
        status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or device"
        raise DataError(f"{path}: expected a readable file, got {kind}")
    if max_bytes is not None and status.st_size > max_bytes:
        raise DataError(
            f"{path}: expected at most {max_bytes:,} bytes, got {status.st_size:,}"
        )


class LimitedFile(io.RawIOBase):
    """Bytes of a file that ends; one that a few bytes unpack to need not.

    Args:
        path: The path for the message.
        file: The open file, e.g. a decompressed one.

    Raises:
        DataError: On reading more than ``MAX_BYTES``, or a line of ``MAX_LINE``.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path, self._file, self._size, self._line = path, file, 0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401
        block = self._file.read(len(buffer))
        buffer[: len(block)] = block
        self._size += len(block)
        end = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
        self._line = len(block) - end + (0 if end else self._line)
        if self._size > MAX_BYTES:
            raise DataError(f"{self._path}: expected at most {MAX_BYTES:,} bytes")
        if self._line > MAX_LINE:
            raise DataError(
                f"{self._path}: expected lines of at most {MAX_LINE:,} bytes, got a "
                "longer one"
            )
        return len(block)

    def close(self) -> None:
        self._file.close()
        super().close()


def read_bytes(path: Path, max_bytes: int, error: type[AdvInfoNCEError]) -> bytes:
    """Read a whole file of moderate size, or the pipe of a shell's ``<(command)``.

    Args:
        path: The file.
        max_bytes: Its largest size.
        error: The class of the error.

    Raises:
        AdvInfoNCEError: If the file cannot be read, is a named pipe, which may never
            end, or is too large.
    """
    try:
        if path.is_fifo() and path.parent != Path("/dev/fd"):
            raise OSError("expected a readable file, got a named pipe")
        with path.open("rb") as file:  # some files have no size before they are read
            content = file.read(max_bytes + 1)
    except (OSError, ValueError) as found:  # ValueError: a null byte in the path
        if isinstance(found, FileNotFoundError):
            raise error(not_found(path)) from found
        raise error(f"{path}: {getattr(found, 'strerror', None) or found}") from found
    if len(content) > max_bytes:
        raise error(f"{path}: expected at most {max_bytes:,} bytes")
    return content


@contextmanager
def locked(
    file: Path,
    busy: Callable[[], None] | None = None,
    *,
    waiting: str = "waiting for another process",
    progress: Progress = Progress(),
) -> Iterator[None]:
    """Hold an exclusive lock between processes.

    The operating system releases it when the process ends for any reason. On a file
    system without locks, either no lock is held, or the lock file must be deleted after
    a process was killed.

    Args:
        file: The lock file, in an existing folder.
        busy: Called before waiting if another process holds the lock; it may raise.
        waiting: What is waited for, for ``progress``.
        progress: Receives a line before and after waiting.

    Raises:
        ConfigError: If the file cannot be written.
    """
    lock = FileLock(file)
    with writing(file):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if busy is not None:
                busy()
            progress.say(f"{waiting} (it holds {file}; Ctrl-C ends the wait)")
            started = time.monotonic()
            lock.acquire()
            progress.say(f"waited {time.monotonic() - started:.0f} s for {file}")
        except NotImplementedError:
            pass
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
    try:
        yield
    finally:
        lock.release()


def is_locked(file: Path) -> bool:
    """Return whether another process holds a lock of :func:`locked`."""
    if not file.is_file():
        return False
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except (NotImplementedError, OSError):
        return False
    lock.release()
    return False


def check_replaceable(path: Path, kind: str = "file", mark: str = "") -> None:
    """Check that a path is free or holds a file that may be replaced.

    Args:
        path: The path.
        kind: Kind of file that may be replaced, for the message.
        mark: Text near the beginning of every file of that kind.

    Raises:
        ConfigError: If the path is a folder or a special file, or lacks the mark.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: name a file with --out")
    if not path.exists():
        return
    if not path.is_file():
        raise ConfigError(f"{path} cannot be replaced: name another file with --out")
    if not mark:
        return
    with writing(path), path.open("rb") as file:
        if mark.encode() not in file.read(1000):
            raise ConfigError(f"{path} is not a {kind}: it is not overwritten")


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """Write an output file atomically; see :func:`~pyg_advinfonce.files.whole_file`.

    Raises:
        ConfigError: If the file cannot be written.
    """
    check_replaceable(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path.resolve()) as unfinished:
            yield unfinished


FORMULA = ("=", "+", "-", "@")


def spreadsheet_text(text: str) -> str:
    """Return a text in one line, with an apostrophe before a formula."""
    line = " ".join(text.split())
    return f"'{line}" if line.startswith(FORMULA) else line


def without_formulas(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table whose strings are safe in spreadsheets; numbers are unchanged.

    Strings are converted by :func:`~pyg_advinfonce.files.spreadsheet_text`.
    """
    import pandas as pd

    found = table.copy()
    for name, column in table.select_dtypes(exclude="number").items():
        cells = [spreadsheet_text(x) if isinstance(x, str) else x for x in column]
        found[name] = pd.Series(cells, column.index, object)
    return found


def not_found(path: Path, what: str = "file") -> str:
    """Return that a file or folder does not exist, where, and similar names there.

    Args:
        path: The path as it was given.
        what: What was expected there.
    """
    place = "" if path.is_absolute() else f" in the working directory {Path.cwd()}"
    names: list[str] = []
    with suppress(OSError, ValueError):  # no such folder, a null byte
        names = sorted(entry.name for entry in path.parent.iterdir())
    near = get_close_matches(path.name, names, n=3, cutoff=0.6)
    found = " or ".join(f"'{path.with_name(name)}'" for name in near)
    return f"{path}: no such {what}{place}{f', did you mean {found}?' if near else ''}"


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, which is read in blocks.

    Raises:
        DataError: If the file cannot be read.
    """
    digest = sha256()
    with reading(path), path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
