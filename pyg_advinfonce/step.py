"""What one optimisation step may look at."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch

if TYPE_CHECKING:
    from pyg_advinfonce.encoders.base import Embeddings, Encoder


class Step:
    """One batch, and the encoder's view of the graph it lies in.

    Args:
        encoder: The encoder that is trained.
        graph: The graph, or the sampled part of it that the batch's rows refer to.
        batch: The edges.
        epoch: The epoch, counted from 0.
        index: The step within the epoch, counted from 0.
        embeddings: The whole graph's clean embeddings, if they are constant in this
            phase; then the batch's rows become those of the whole graph.
    """

    def __init__(
        self,
        encoder: Encoder,
        graph: HeteroData,
        batch: EdgeBatch,
        epoch: int,
        index: int,
        embeddings: Embeddings | None = None,
    ) -> None:
        self.encoder, self.graph = encoder, graph
        self.batch = batch if embeddings is None else batch.whole_graph()
        self.epoch, self.index = epoch, index
        self._given = embeddings

    @cached_property
    def embeddings(self) -> Embeddings:
        """The embeddings of the graph, computed once a step."""
        return self._given or self.encode()

    @cached_property
    def clean(self) -> Embeddings:
        """The embeddings without noise or dropped messages, computed once a step."""
        return self._given or self.encode(perturb=False)

    def encode(
        self,
        graph: HeteroData | Sequence[HeteroData] | None = None,
        *,
        perturb: bool | None = None,
    ) -> Embeddings:
        """Run the encoder again, over another view of the graph or perturbed anew."""
        view = self.graph if graph is None else graph
        found: Embeddings = self.encoder(view, perturb=perturb)
        return found
