"""Files written atomically, and text and numbers made safe for their readers."""

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pyg_advinfonce.errors import ConfigError


def finite(values: Mapping[str, float]) -> dict[str, float | None]:
    """Replace what JSON cannot say by None."""
    return {k: v if math.isfinite(v) else None for k, v in values.items()}


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
def output_file(path: Path) -> Iterator[Path]:
    """Give a file to write, as :func:`~pyg_advinfonce.files.whole_file` does.

    Raises:
        ConfigError: If the file cannot be written.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: name a file by --out")
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path} cannot be replaced: name another file by --out")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path.resolve()) as unfinished:
            yield unfinished
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error


FORMULA = ("=", "+", "-", "@")


def spreadsheet_text(text: str) -> str:
    """Return a text in one line, with an apostrophe before what would be a formula."""
    line = " ".join(text.split())
    return f"'{line}" if line.startswith(FORMULA) else line
