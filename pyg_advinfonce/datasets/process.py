"""From pairs by split to the graph, with what there is to say about it."""

import numpy as np
import torch

from pyg_advinfonce.datasets.cache import Processed
from pyg_advinfonce.datasets.description import content_hash, summarize
from pyg_advinfonce.datasets.id_text import IdList
from pyg_advinfonce.datasets.split_files import SplitPairs
from pyg_advinfonce.graph import RawIds, build_graph


def process(raw: SplitPairs) -> Processed:
    """Build the graph of a division into splits.

    Raises:
        GraphError: If an index is out of range.
    """
    splits = {name: torch.from_numpy(pairs) for name, pairs in raw.pairs.items()}
    mask = raw.candidate_mask
    graph = build_graph(
        splits.pop("train"),
        num_users=raw.num_users,
        num_items=raw.num_items,
        splits=splits,
        candidate_mask=None if mask is None else torch.from_numpy(mask),
        user_ids=_as_raw_id(raw.user_ids),
        item_ids=_as_raw_id(raw.item_ids),
    )
    return Processed(graph, summarize(graph, raw.duplicates), content_hash(graph))


def _as_raw_id(ids: IdList | None) -> RawIds | None:
    return torch.from_numpy(ids) if isinstance(ids, np.ndarray) else ids
