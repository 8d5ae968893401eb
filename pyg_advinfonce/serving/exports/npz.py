"""Embeddings as numpy's own file."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from pyg_advinfonce.serving.served_tables import ServedTables


def write_npz(tables: ServedTables, path: Path) -> None:
    """Write the arrays by their names, and ``notes``, a JSON object as text.

    ``np.load(path)`` reads all of it without pickle.
    """
    arrays: dict[str, Any] = {**tables.by_name, "notes": json.dumps(tables.notes)}
    with path.open("wb") as file:
        np.savez(file, **arrays)
