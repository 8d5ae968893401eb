"""Files of recommendation lists."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from shutil import copyfileobj

import pandas as pd

from pyg_advinfonce.errors import optional_package
from pyg_advinfonce.files import output_file


def csv_texts(tables: Iterable[pd.DataFrame]) -> Iterator[str]:
    """Yield CSV text with one header; ids are those of the input.

    A spreadsheet may read an id as a formula:
    :func:`~pyg_advinfonce.files.without_formulas` makes tables safe, and changes such
    ids.
    """
    for number, table in enumerate(tables):
        texts = table.select_dtypes(exclude="number").to_numpy().ravel()
        has_return = any("\r" in str(text) for text in texts)  # unquoted by default
        yield table.to_csv(
            index=False,
            header=number == 0,
            lineterminator="\n",
            quoting=csv.QUOTE_NONNUMERIC if has_return else csv.QUOTE_MINIMAL,
        )


def json_texts(tables: Iterable[pd.DataFrame]) -> Iterator[str]:
    """Yield JSON lines, one object per row."""
    for table in tables:
        yield table.to_json(orient="records", lines=True, force_ascii=False)


Tables = Iterable[pd.DataFrame]


def save_lists(tables: Tables, path: Path | str, kind: str) -> None:
    """Write a table that is given in pieces, atomically.

    Args:
        tables: Pieces with the same columns.
        path: The file; an existing one is replaced.
        kind: ``csv``, ``jsonl`` or ``parquet`` (extra ``[data]``).

    Raises:
        ConfigError: If the file cannot be written.
        MissingExtraError: If pyarrow is not installed.
    """
    with output_file(Path(path)) as partial:
        WRITERS[kind](tables, partial)


def merge_lists(parts: Sequence[Path], path: Path, kind: str) -> None:
    """Write files of :func:`save_lists` as one, in their order, and delete them.

    Args:
        parts: The files.
        path: As for :func:`save_lists`.
        kind: As for :func:`save_lists`, that of the files.

    Raises:
        ConfigError: If the file cannot be written.
    """
    with output_file(path) as unfinished:
        (_merge_tables if kind == "parquet" else _merge_texts)(parts, unfinished, kind)
    for part in parts:
        part.unlink()


def _merge_texts(parts: Sequence[Path], path: Path, kind: str) -> None:
    with path.open("wb") as whole:
        for number, part in enumerate(parts):
            with part.open("rb") as file:
                if kind == "csv" and number > 0:
                    file.readline()  # the header
                copyfileobj(file, whole)


def _merge_tables(parts: Sequence[Path], path: Path, _kind: str) -> None:
    parquet = optional_package("pyarrow.parquet")
    files = [parquet.ParquetFile(part) for part in parts]
    with parquet.ParquetWriter(path, files[0].schema_arrow) as writer:
        for file in files:
            for batch in file.iter_batches():
                writer.write_batch(batch)


def _write_csv(tables: Tables, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(csv_texts(tables))


def _write_jsonl(tables: Tables, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(json_texts(tables))


def _write_parquet(tables: Tables, path: Path) -> None:
    parquet = optional_package("pyarrow.parquet")
    arrow = optional_package("pyarrow")
    pieces = (arrow.Table.from_pandas(t, preserve_index=False) for t in tables)
    first = next(pieces)
    with parquet.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first)
        for piece in pieces:
            writer.write_table(piece.cast(first.schema))


WRITERS: Mapping[str, Callable[[Tables, Path], None]] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
}
