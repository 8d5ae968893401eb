"""What one split of a data set is like."""

from typing import TypedDict

import numpy as np
import pandas as pd
from torch_geometric.data import HeteroData

from pyg_advinfonce.datasets.pair_text import Ids
from pyg_advinfonce.graph import num_nodes, split_edges

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class SplitProfile(TypedDict):
    """One split.

    ``user_degrees`` and ``item_degrees`` describe how many of the split's pairs those
    users and items have that have any: count, mean, min, quantiles and max.
    ``cold_users`` and ``cold_items`` count those among them without a train pair; None
    if there is no train split.
    """

    pairs: int
    density: float
    user_degrees: dict[str, float]
    item_degrees: dict[str, float]
    cold_users: int | None
    cold_items: int | None
    duplicates_merged: int


def split_profile(graph: HeteroData, name: str, duplicates: int) -> SplitProfile:
    """Describe a split of a graph, of which so many pairs were repeated."""
    pairs, train = (split_edges(graph, s).numpy() for s in (name, "train"))
    cold = [
        len(np.setdiff1d(ends, known)) if train.size else None
        for ends, known in zip(pairs, train, strict=True)
    ]
    num_users, num_items = num_nodes(graph)
    return {
        "pairs": pairs.shape[1],
        "density": pairs.shape[1] / (num_users * num_items),
        "user_degrees": _degrees(pairs[0]),
        "item_degrees": _degrees(pairs[1]),
        "cold_users": cold[0],
        "cold_items": cold[1],
        "duplicates_merged": duplicates,
    }


def _degrees(ends: Ids) -> dict[str, float]:
    """Describe how often each id occurs among one end of the pairs ``[E]``."""
    counts = pd.Series(ends).value_counts().describe(percentiles=list(QUANTILES))
    return {str(name): float(value) for name, value in counts.drop("std").items()}
