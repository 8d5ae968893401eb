"""Export of a trained model for other software."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save
from torch_geometric.data import HeteroData

from pyg_advinfonce.errors import ConfigError, optional_package
from pyg_advinfonce.files import output_file
from pyg_advinfonce.methods import Method
from pyg_advinfonce.registry import unknown
from pyg_advinfonce.serving.onnx import write_onnx
from pyg_advinfonce.serving.tables import Array, EmbeddingTables


@dataclass(frozen=True)
class Format:
    """Writer of a file format.

    Attributes:
        write: The writer.
        package: The optional package that it needs.
        has_names: Whether the file can hold ids that are strings.
    """

    write: Callable[[EmbeddingTables, Path], None]
    package: str | None = None
    has_names: bool = True


def export(
    method: Method,
    graph: HeteroData,
    path: Path | str,
    *,
    to: str | None = None,
    notes: Mapping[str, str] | None = None,
) -> Path:
    """Write a trained method's embeddings and metadata to a file; return the path.

    A ``faiss`` index cannot hold item ids that are strings: a JSON list of them, by row
    number, is written beside it, as ``index.faiss.ids.json`` for ``index.faiss``.

    Args:
        method: The trained method.
        graph: The graph that it was trained on.
        path: The file; an existing one is replaced atomically.
        to: ``safetensors``, ``npz``, ``parquet``, ``faiss`` or ``onnx`` (default: the
            path's suffix).
        notes: Metadata to store besides the convention of scores, in formats that
            support it.

    Raises:
        UnknownNameError: If the format is unknown.
        MissingExtraError: If the format needs a package that is not installed.
        ConfigError: If the file cannot be written, or the model has no embeddings whose
            dot products rank items.
    """
    path = Path(path)
    form = find_format(path, to)
    tables = EmbeddingTables.of(method, graph, notes or {})
    with output_file(path) as partial:
        form.write(tables, partial)
        if not form.has_names and tables.item_id.dtype == object:
            with output_file(path.with_name(f"{path.name}.ids.json")) as ids:
                # JSON, since an id may have line breaks
                ids.write_text(json.dumps(tables.item_id.tolist()), encoding="utf-8")
    return path


def find_format(path: Path, to: str | None = None) -> Format:
    """Return a format by name or by the path's suffix.

    Raises:
        UnknownNameError: If the format is unknown.
        MissingExtraError: If its package is not installed.
    """
    name = to or path.suffix.removeprefix(".")
    if not name:
        raise ConfigError(
            f"{path} has no suffix to choose a format by: name one, "
            f"{', '.join(FORMATS)}, e.g. {path}.npz"
        )
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)
    form = FORMATS[name]
    if form.package is not None:
        optional_package(form.package)
    return form


def write_safetensors(tables: EmbeddingTables, path: Path) -> None:
    """Write the arrays by name, with the notes as metadata.

    String ids are stored as the bytes of a JSON list: ``json.loads(bytes(ids))``.
    """
    arrays = {name: _numeric(array) for name, array in tables.by_name.items()}
    path.write_bytes(save(arrays, metadata=dict(tables.notes)))


def _numeric(array: Array) -> Array:
    if array.dtype.kind != "U":
        return array
    text = json.dumps(array.tolist(), ensure_ascii=False)
    return np.frombuffer(text.encode(), dtype=np.uint8)


def write_npz(tables: EmbeddingTables, path: Path) -> None:
    """Write the arrays by name, and ``notes`` as a JSON string.

    ``np.load(path)`` reads the file without pickle.
    """
    arrays: dict[str, Any] = {**tables.by_name, "notes": json.dumps(tables.notes)}
    with path.open("wb") as file:
        np.savez(file, **arrays)


def write_parquet(tables: EmbeddingTables, path: Path) -> None:
    """Write one row per node, users before items, with the notes as schema metadata.

    Columns: ``user_id`` and ``item_id``, one of which is null; ``embedding``; for users
    ``seen``, the ids of the items that lists leave out; for items ``is_candidate``.

    Raises:
        MissingExtraError: If pyarrow is not installed.
    """
    arrow = optional_package("pyarrow")
    parquet = optional_package("pyarrow.parquet")
    users = {
        "user_id": arrow.array(tables.user_id),
        "embedding": _rows(arrow, tables.user),
        "seen": _seen(arrow, tables),
    }
    items = {
        "item_id": arrow.array(tables.item_id),
        "embedding": _rows(arrow, tables.item),
        "is_candidate": arrow.array(tables.candidate_mask),
    }
    parts = [arrow.table(users), arrow.table(items)]
    table = arrow.concat_tables(parts, promote_options="default")
    parquet.write_table(table.replace_schema_metadata(dict(tables.notes)), path)


def _rows(arrow: Any, table: Array) -> Any:  # noqa: ANN401
    flat = arrow.array(table.ravel())
    return arrow.FixedSizeListArray.from_arrays(flat, table.shape[1])


def _seen(arrow: Any, tables: EmbeddingTables) -> Any:  # noqa: ANN401
    user, item = tables.seen[:, np.argsort(tables.seen[0], kind="stable")]
    start = np.searchsorted(user, np.arange(len(tables.user) + 1))
    return arrow.ListArray.from_arrays(start, arrow.array(tables.item_id[item]))


def write_faiss(tables: EmbeddingTables, path: Path) -> None:
    """Write an exact inner-product index of the items that may be listed.

    Queries are user embeddings, unit rows for a cosine model. Results are item ids if
    these are integers, else row numbers of items, which :func:`export` writes a list
    of ids for.

    Raises:
        MissingExtraError: If faiss is not installed.
    """
    faiss = optional_package("faiss")
    row = np.flatnonzero(tables.candidate_mask)
    label = row if tables.item_id.dtype == object else tables.item_id[row]
    index = faiss.IndexIDMap2(faiss.IndexFlatIP(tables.item.shape[1]))
    index.add_with_ids(tables.item[row], label.astype(np.int64))
    path.write_bytes(faiss.serialize_index(index).tobytes())


FORMATS: Mapping[str, Format] = {
    "safetensors": Format(write_safetensors),
    "npz": Format(write_npz),
    "parquet": Format(write_parquet, "pyarrow"),
    "faiss": Format(write_faiss, "faiss", has_names=False),
    "onnx": Format(write_onnx, "onnx"),
}
