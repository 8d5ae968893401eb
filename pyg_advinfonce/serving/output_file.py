"""The file that a user has asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.whole_file import whole_file


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """Give a file to write, as :func:`~pyg_advinfonce.whole_file.whole_file` does.

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
