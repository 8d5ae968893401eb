"""A file that is there whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyg_advinfonce.errors import ConfigError


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give the path of a file to write, which takes the other's place at the end.

    Where writing fails, an earlier file stays as it was and nothing else is left.

    Raises:
        ConfigError: If the file cannot be written.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: name a file by --out")
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error
