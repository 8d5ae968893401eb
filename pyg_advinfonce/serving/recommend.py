"""The best items of users, for whatever holds a method and its graph."""

from collections.abc import Iterable
from typing import Protocol

import pandas as pd
from torch_geometric.data import HeteroData

from pyg_advinfonce.methods.base import Method
from pyg_advinfonce.serving.raw_ids import RawId
from pyg_advinfonce.serving.recommender import Recommender


class Trained(Protocol):
    """A trained method and the graph that it was trained on."""

    @property
    def method(self) -> Method: ...

    @property
    def graph(self) -> HeteroData: ...


def recommend(
    self: Trained,
    users: Iterable[RawId] | None = None,
    *,
    k: int = 20,
    exclude_seen: bool = True,
) -> pd.DataFrame:
    """Return the best items of users (default: all), by the ids of the input.

    :class:`~pyg_advinfonce.serving.recommender.Recommender` says more, is faster if it
    is asked twice, and knows what to do with new users.
    """
    found = Recommender(self.method, self.graph, exclude_seen=exclude_seen)
    return found.recommend(users, k=k)
