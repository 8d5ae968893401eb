"""Items as a FAISS index."""

from pathlib import Path

import numpy as np

from pyg_advinfonce.serving.optional_package import optional_package
from pyg_advinfonce.serving.served_tables import ServedTables


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
