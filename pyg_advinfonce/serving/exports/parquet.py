"""Embeddings as a parquet file."""

from pathlib import Path
from typing import Any

import numpy as np

from pyg_advinfonce.serving.optional_package import optional_package
from pyg_advinfonce.serving.served_tables import Array, ServedTables


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
