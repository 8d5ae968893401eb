"""Hashes of files of any size."""

from hashlib import sha256
from pathlib import Path

from pyg_advinfonce.errors import DataError


def file_sha256(path: Path) -> str:
    """Return the hash of a file's content, read piece by piece.

    Raises:
        DataError: If it cannot be read.
    """
    digest = sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(2**20):
                digest.update(piece)
    except OSError as error:
        reason = error.strerror
        raise DataError(f"{path}: expected a readable file ({reason})") from None
    return digest.hexdigest()
