"""The ids of the input and the rows they stand for."""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_advinfonce.errors import UnknownNameError

RawId = int | str


class RawIds:
    """What the nodes of one type are called in the input.

    Args:
        graph: The user-item graph; nodes without ``raw_id`` are called by their rows.
        node_type: ``user`` or ``item``.
    """

    values: NDArray[Any]  # [N] int64, or strings as objects

    def __init__(self, graph: HeteroData, node_type: str) -> None:
        self.node_type = node_type
        ids = graph[node_type].get("raw_id")
        if ids is None:
            self.values = np.arange(graph[node_type].num_nodes)
        elif isinstance(ids, Tensor):
            self.values = ids.cpu().numpy()
        else:
            self.values = np.array(ids, dtype=object)

    def rows(self, ids: Iterable[RawId]) -> Tensor:
        """Return the rows ``[n]`` of ids; ``7`` and ``"7"`` are the same id.

        Raises:
            UnknownNameError: If no node has this id.
        """
        rows = [self._row(str(raw_id)) for raw_id in ids]
        return torch.tensor(rows, dtype=torch.long, device="cpu")

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {str(raw_id): row for row, raw_id in enumerate(self.values.tolist())}

    def _row(self, text: str) -> int:
        if text not in self._row_of:
            raise UnknownNameError(
                f"unknown {self.node_type} {text!r}{self._hint(text)}"
            )
        return self._row_of[text]

    def _hint(self, text: str) -> str:
        near = get_close_matches(text, self._row_of, n=3)
        if near:
            return f", did you mean {' or '.join(map(repr, near))}?"
        some = ", ".join(map(repr, list(self._row_of)[:3]))
        return f": there are {len(self._row_of):,}, e.g. {some}"
