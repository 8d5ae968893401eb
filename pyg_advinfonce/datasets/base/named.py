"""Resolution of a ``--data`` text to a table or an existing folder."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from pyg_advinfonce.errors import (
    ConfigError,
    DatasetNotFoundError,
    UnknownNameError,
)
from pyg_advinfonce.files import not_found
from pyg_advinfonce.registry import DATASETS, unknown

TABLE_SUFFIXES = (
    *(".csv", ".tsv", ".parquet", ".jsonl", ".ndjson"),
    *(".inter", ".dat", ".data"),  # of RecBole and MovieLens
)
"""Suffixes of tables where a folder is also accepted."""

PACKED = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes of compressed text, after that of the table."""


def table_suffix(path: Path) -> str:
    """Return the suffix of a table in lower case, without that of a compression."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in PACKED else suffix


def is_table(data: str) -> bool:
    """Return whether the text is the path of an existing table."""
    return _has_table_suffix(data) and _is(Path.is_file, Path(data))


def _has_table_suffix(data: str) -> bool:
    return table_suffix(Path(data)) in TABLE_SUFFIXES


def check_name(data: str, root: Path) -> None:
    """Check that a text leads to data: a name, or an existing table or folder.

    Raises:
        UnknownNameError: If it is neither a name nor a path.
        ConfigError: If it is a file of another kind.
        DatasetNotFoundError: If it is a path that does not exist.
    """
    if data.partition(":")[0] not in DATASETS and not is_table(data):
        find_folder(data, root)


def find_folder(data: str, root: Path) -> Path:
    """Return the folder of that name under root, or of that path."""
    is_bare = bool(data) and Path(data).name == data
    if is_bare and _is(Path.is_dir, root / data):
        return root / data
    if data and _is(Path.is_dir, Path(data)):
        return Path(data).resolve()
    if data and _is(Path.is_file, Path(data)):
        raise ConfigError(
            f"{data} is a file: expected a data set's name, a table (.csv, .tsv, "
            ".parquet) or a folder that holds train.txt, valid.txt and test.txt"
        )
    if _has_table_suffix(data):
        raise DatasetNotFoundError(not_found(Path(data)))
    if data and not is_bare:
        raise DatasetNotFoundError(not_found(Path(data), "folder or table"))
    known = unknown("data set", data, DATASETS, _data_below(root, Path.cwd()))
    raise UnknownNameError(
        f"{known} or the path of a folder that holds train.txt, valid.txt and test.txt "
        f"or of a table (.csv, .tsv, .parquet); no folder of that name in {root} (set "
        f"another root with --data-root) and none in {Path.cwd()}"
    )


def _data_below(*places: Path) -> Iterator[str]:
    """Yield the names of the folders under root and here, and of the tables here."""
    for place in places:
        with suppress(OSError):
            for path in sorted(place.iterdir()):
                is_hidden = path.name.startswith(".")
                if not is_hidden and (path.is_dir() or is_table(str(path))):
                    yield path.name


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    try:
        return kind(path)
    except (OSError, ValueError):  # a name too long for the system, a null byte
        return False
