"""Text files of any encoding, plain or compressed."""

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TextIO, cast

from pyg_advinfonce.errors import ConfigError, DataError, optional_package
from pyg_advinfonce.files import MAX_BYTES, LimitedFile, reading, regular_file

UTF_8 = "utf-8-sig"
"""Default encoding of text; a byte order mark is skipped."""


BLOCK = 2**18
"""Bytes that are read at once."""


def _open_plain(path: Path) -> IO[bytes]:
    return path.open("rb")


def _open_gzip(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path))


def _open_zstd(path: Path) -> IO[bytes]:
    pyarrow = optional_package("pyarrow")
    unpacked = pyarrow.input_stream(str(path), compression="zstd")
    return cast("IO[bytes]", io.BufferedReader(unpacked))


_OPEN: Mapping[str, Callable[[Path], IO[bytes]]] = {
    ".gz": _open_gzip,
    ".bz2": lambda path: cast("IO[bytes]", bz2.open(path)),  # noqa: SIM115
    ".xz": lambda path: cast("IO[bytes]", lzma.open(path)),  # noqa: SIM115
    ".zst": _open_zstd,
}


@dataclass(frozen=True)
class TextFile:
    """A text file, decompressed by its suffix ``.gz``, ``.bz2``, ``.xz`` or ``.zst``.

    Args:
        path: The file.
        encoding: Name of its encoding (default: UTF-8).

    Raises:
        ConfigError: If the encoding is unknown.
        DataError: If it is not a regular file, or too large.
    """

    path: Path
    encoding: str | None = None

    def __post_init__(self) -> None:
        regular_file(self.path, MAX_BYTES)
        try:
            "".encode(self.codec)
        except (LookupError, ValueError, UnicodeError):
            raise ConfigError(
                f"unknown encoding {self.codec[:40]!r}: use another name, e.g. latin-1"
            ) from None

    @property
    def codec(self) -> str:
        """Name of the codec."""
        return self.encoding or UTF_8

    def open_binary(self) -> IO[bytes]:
        """Open the decompressed bytes, of limited size."""
        file = _OPEN.get(self.path.suffix.lower(), _open_plain)(self.path)
        return io.BufferedReader(LimitedFile(self.path, file), BLOCK)

    def open(self) -> TextIO:
        """Open the text; line ends are kept."""
        return io.TextIOWrapper(self.open_binary(), self.codec, newline="")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Convert read failures into one-line errors with the place.

        Raises:
            DataError: If the file cannot be read, decompressed or decoded.
        """
        try:
            with reading(self.path), self._packing_errors():
                yield
        except UnicodeError as error:
            name = self.encoding or "UTF-8"
            raise DataError(
                f"{self.path}:{self._undecodable_line()}: expected text in {name}: "
                "set another encoding, e.g. --encoding latin-1 (data.encoding)"
            ) from error

    @contextmanager
    def _packing_errors(self) -> Iterator[None]:
        suffix = self.path.suffix.lower()
        reason: Exception
        try:
            yield
        except (gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError) as error:
            reason = error
        except OSError as error:
            # bz2 and pyarrow report malformed content as OSError without an errno
            if suffix not in _OPEN or error.errno is not None:
                raise
            reason = error
        else:
            return
        message = (str(reason).splitlines() or [type(reason).__name__])[0][:200]
        raise DataError(
            f"{self.path}:1: expected a complete {suffix[1:]} file ({message})"
        ) from reason

    def _undecodable_line(self) -> int:
        decoder = codecs.getincrementaldecoder(self.codec)()
        number = 1
        with self.open_binary() as file:
            for number, line in enumerate(file, start=1):
                try:
                    decoder.decode(line)
                except UnicodeError:
                    return number
        return number
