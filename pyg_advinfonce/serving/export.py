"""Embeddings as one file that other software reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch_geometric.data import HeteroData

from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.registry import unknown
from pyg_advinfonce.serving.exports.faiss import write_faiss
from pyg_advinfonce.serving.exports.npz import write_npz
from pyg_advinfonce.serving.exports.onnx import write_onnx
from pyg_advinfonce.serving.exports.parquet import write_parquet
from pyg_advinfonce.serving.exports.safetensors import write_safetensors
from pyg_advinfonce.serving.optional_package import optional_package
from pyg_advinfonce.serving.output_file import output_file
from pyg_advinfonce.serving.served_tables import ServedTables


@dataclass(frozen=True)
class Format:
    """How tables are written, and the package of an extra that it needs."""

    write: Callable[[ServedTables, Path], None]
    package: str | None = None


FORMATS: Mapping[str, Format] = {
    "safetensors": Format(write_safetensors),
    "npz": Format(write_npz),
    "parquet": Format(write_parquet, "pyarrow"),
    "faiss": Format(write_faiss, "faiss"),
    "onnx": Format(write_onnx, "onnx"),
}


def export(
    method: Method,
    graph: HeteroData,
    path: Path,
    *,
    to: str | None = None,
    notes: Mapping[str, str] | None = None,
) -> Path:
    """Write what a trained method is served with; return the path.

    Args:
        method: The trained method.
        graph: The graph that it was trained on.
        path: The file; an earlier one is replaced, at the end and at once.
        to: A format of ``FORMATS``; each says in its own module what it holds
            (default: the path's suffix).
        notes: What is noted in the file besides the convention of scores, where the
            format has room for it.

    Raises:
        UnknownNameError: If there is no such format.
        MissingExtraError: If it needs a package that is not installed.
        ConfigError: If the file cannot be written.
    """
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
