"""Embeddings as safetensors."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from pyg_advinfonce.serving.served_tables import Array, ServedTables


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
