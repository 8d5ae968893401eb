"""Embedding tables of a trained method as NumPy arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.graph import ITEM, USER, candidate_mask, seen_pairs
from pyg_advinfonce.methods import Method
from pyg_advinfonce.serving.recommender import IdMap
from pyg_advinfonce.version import __version__

Array = NDArray[Any]


@dataclass(frozen=True)
class EmbeddingTables:
    """Embeddings whose dot products rank items, with ids, seen pairs and metadata.

    Attributes:
        user: ``[U, D]`` float32 user embeddings; unit rows for a cosine model.
        item: ``[I, D]`` float32 item embeddings; unit rows for a cosine model.
        user_id: ``[U]`` ids of the input data: int64, or strings as objects.
        item_id: ``[I]`` ids of the input data: int64, or strings as objects.
        seen: ``[2, S]`` int64, the pairs that lists leave out, as row numbers of users
            and items; see :func:`~pyg_advinfonce.graph.seen_pairs`.
        candidate_mask: ``[I]`` bool, the items that may be listed.
        notes: Metadata: ``cosine``, the library's version and given notes.
    """

    user: Array
    item: Array
    user_id: Array
    item_id: Array
    seen: Array
    candidate_mask: Array
    notes: Mapping[str, str]

    @classmethod
    def of(
        cls, method: Method, graph: HeteroData, notes: Mapping[str, str]
    ) -> "EmbeddingTables":
        """Embed a graph with a trained method."""
        z_user, z_item = method.embed(graph)
        return cls(
            _array(z_user.float()),
            _array(z_item.float()),
            IdMap(graph, USER).values,
            IdMap(graph, ITEM).values,
            _array(seen_pairs(graph)),
            _array(candidate_mask(graph)),
            {
                "made_by": f"pyg_advinfonce {__version__}",
                "score": "dot product",
                "cosine": str(method.cosine).lower(),
                **notes,
            },
        )

    @property
    def by_name(self) -> dict[str, Array]:
        """Arrays by name, with strings in NumPy's ``str_`` dtype."""
        arrays = {
            "user": self.user,
            "item": self.item,
            "user_id": self.user_id,
            "item_id": self.item_id,
            "seen": self.seen,
            "candidate_mask": self.candidate_mask,
        }
        return {
            n: a.astype(np.str_) if a.dtype == object else a for n, a in arrays.items()
        }


def _array(tensor: Tensor) -> Array:
    return np.ascontiguousarray(tensor.cpu().numpy())
