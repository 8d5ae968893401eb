"""Embeddings as one file that other software reads."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save
from torch_geometric.data import HeteroData

from pyg_advinfonce.errors import optional_package
from pyg_advinfonce.files import output_file
from pyg_advinfonce.methods import Method
from pyg_advinfonce.registry import unknown
from pyg_advinfonce.serving.onnx import write_onnx
from pyg_advinfonce.serving.served_tables import Array, ServedTables


@dataclass(frozen=True)
class Format:
    """How tables are written, and the package of an extra that it needs."""

    write: Callable[[ServedTables, Path], None]
    package: str | None = None


def export(
    method: Method,
    graph: HeteroData,
    path: Path | str,
    *,
    to: str | None = None,
    notes: Mapping[str, str] | None = None,
) -> Path:
    """Write what a trained method is served with; return the path.

    Args:
        method: The trained method.
        graph: The graph that it was trained on.
        path: The file; an earlier one is replaced, at the end and at once.
        to: A format of ``FORMATS``; the function that writes it says what the file
            holds (default: the path's suffix).
        notes: What is noted in the file besides the convention of scores, where the
            format has room for it.

    Raises:
        UnknownNameError: If there is no such format.
        MissingExtraError: If it needs a package that is not installed.
        ConfigError: If the file cannot be written, or the model ranks by scores of its
            own.
    """
    path = Path(path)
    form = find_format(path, to)
    tables = ServedTables.of(method, graph, notes or {})
    with output_file(path) as partial:
        form.write(tables, partial)
    return path


def find_format(path: Path, to: str | None = None) -> Format:
    """Return the format that is asked for, its package being installed.

    Raises:
        UnknownNameError: If there is no such format.
        MissingExtraError: If its package is not installed.
    """
    name = to or path.suffix.removeprefix(".")
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)
    form = FORMATS[name]
    if form.package is not None:
        optional_package(form.package)
    return form


def write_safetensors(tables: ServedTables, path: Path) -> None:
    """Write the arrays by their names, the notes as metadata.

    Ids that are strings are the bytes of a JSON list: ``json.loads(bytes(ids))``.
    """
    arrays = {name: _numbers(array) for name, array in tables.by_name.items()}
    path.write_bytes(save(arrays, metadata=dict(tables.notes)))


def _numbers(array: Array) -> Array:
    if array.dtype.kind != "U":
        return array
    text = json.dumps(array.tolist(), ensure_ascii=False)
    return np.frombuffer(text.encode(), dtype=np.uint8)


def write_npz(tables: ServedTables, path: Path) -> None:
    """Write the arrays by their names, and ``notes``, a JSON object as text.

    ``np.load(path)`` reads all of it without pickle.
    """
    arrays: dict[str, Any] = {**tables.by_name, "notes": json.dumps(tables.notes)}
    with path.open("wb") as file:
        np.savez(file, **arrays)


def write_parquet(tables: ServedTables, path: Path) -> None:
    """Write a row a node, users before items; the notes are the schema's metadata.

    Columns: ``user_id`` or ``item_id``, the other one empty; ``embedding``; of users
    ``seen``, the ids of their train items; of items ``is_candidate``.

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


def _seen(arrow: Any, tables: ServedTables) -> Any:  # noqa: ANN401
    user, item = tables.seen[:, np.argsort(tables.seen[0], kind="stable")]
    start = np.searchsorted(user, np.arange(len(tables.user) + 1))
    return arrow.ListArray.from_arrays(start, arrow.array(tables.item_id[item]))


def write_faiss(tables: ServedTables, path: Path) -> None:
    """Write an exact index by inner product of the items that may be listed.

    It is searched by rows of users, of which a cosine model's have length one, and
    answers with item ids where they are integers, else with rows of items. There is no
    bound on ``k``.

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
    "faiss": Format(write_faiss, "faiss"),
    "onnx": Format(write_onnx, "onnx"),
}
