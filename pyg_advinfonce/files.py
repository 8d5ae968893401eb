"""Files: written atomically, locked, and safe for whoever reads them."""

import errno
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from pyg_advinfonce.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)


def without_nan(values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Replace what JSON cannot hold, NaN and infinity, by None."""
    return {
        k: v if v is not None and math.isfinite(v) else None for k, v in values.items()
    }


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a file to write in place of another, which it then replaces at once.

    Whoever reads meanwhile, or after a crash, finds the old file or the new one. What
    an error leaves behind is removed.
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
    """Write a file of text, as a whole."""
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


@contextmanager
def writing(path: Path, advice: str = "") -> Iterator[None]:
    """Turn a failure to write into an error that names the file.

    Args:
        path: What is written, as the user knows it.
        advice: What to do, after the reason.

    Raises:
        ConfigError: If the system raises an ``OSError``, or a path holds a null byte.
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
    """Turn a failure to read into an error that names the file.

    Raises:
        DataError: If the system raises an ``OSError``.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path}: expected a readable file ({reason})") from None


@contextmanager
def locked(file: Path, busy: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock that other processes wait for.

    The operating system holds it and takes it back when the process ends, by whatever
    cause. On a file system without locks there is none, or a file that has to be
    deleted after a process was killed.

    Args:
        file: The lock's file, in a folder that exists.
        busy: Called if another process holds it, before waiting; it may raise instead.

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
            lock.acquire()
        except NotImplementedError:
            pass
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
    try:
        yield
    finally:
        lock.release()


def check_replaceable(path: Path, kind: str = "file", mark: str = "") -> None:
    """Check that a file may be written in place of what lies at a path, if anything.

    Args:
        path: The path.
        kind: What may be replaced.
        mark: A text that is near the beginning of every file of that kind.

    Raises:
        ConfigError: If it is a folder or a special file, or lacks the mark.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: name a file by --out")
    if not path.exists():
        return
    if not path.is_file():
        raise ConfigError(f"{path} cannot be replaced: name another file by --out")
    if not mark:
        return
    with writing(path), path.open("rb") as file:
        if mark.encode() not in file.read(1000):
            raise ConfigError(f"{path} is no {kind}: it is not overwritten")


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """Give a file to write, as :func:`~pyg_advinfonce.files.whole_file` does.

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
    """Return a text in one line, with an apostrophe before what would be a formula."""
    line = " ".join(text.split())
    return f"'{line}" if line.startswith(FORMULA) else line


def without_formulas(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table for a file that a spreadsheet may read; numbers stay as they are.

    Its texts are as :func:`~pyg_advinfonce.files.spreadsheet_text` returns them.
    """
    import pandas as pd

    found = table.copy()
    for name, column in table.select_dtypes(exclude="number").items():
        cells = [spreadsheet_text(x) if isinstance(x, str) else x for x in column]
        found[name] = pd.Series(cells, column.index, object)
    return found
