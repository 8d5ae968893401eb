"""The files that a data set's owners publish, in a folder or an archive."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pyg_advinfonce.datasets.archive import extract_files, is_archive
from pyg_advinfonce.errors import DatasetNotFoundError


@contextmanager
def raw_files(raw: Path, names: Sequence[str]) -> Iterator[Mapping[str, Path]]:
    """Give the paths of a source's files while the block runs.

    Args:
        raw: A folder that holds them, at any depth, or a zip or tar archive.
        names: The files' names.

    Raises:
        DatasetNotFoundError: If one is missing, or there is nothing at the path.
        DataError: If the archive is damaged or unsafe.
    """
    if raw.is_file() and is_archive(raw):
        with tempfile.TemporaryDirectory(prefix="advnce-") as folder:
            yield _complete(raw, extract_files(raw, names, Path(folder)), names)
    else:
        found = {name: path for name in names for path in _places(raw, name)}
        yield _complete(raw, found, names)


def _places(raw: Path, name: str) -> list[Path]:
    """Return the place of a file, the one nearest to the top."""
    if (raw / name).is_file():
        return [raw / name]
    found = sorted(raw.rglob(name), key=lambda path: (len(path.parts), path))
    return [path for path in found if path.is_file()][:1]


def _complete(
    raw: Path, found: Mapping[str, Path], names: Sequence[str]
) -> Mapping[str, Path]:
    missing = [name for name in names if name not in found]
    if missing:
        raise DatasetNotFoundError(
            f"{raw}: expected a folder or archive that holds {', '.join(names)}, "
            f"{', '.join(missing)} not found"
        )
    return found
