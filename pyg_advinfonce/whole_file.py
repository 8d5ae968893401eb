"""Files that are there as a whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
