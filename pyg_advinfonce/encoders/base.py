"""What every encoder shares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch


@dataclass(frozen=True)
class Embeddings:
    """What an encoder makes of a graph.

    Attributes:
        user: ``[U, D]``.
        item: ``[I, D]``.
        layers: ``([U, D], [I, D])`` a layer; the first is the table before any message.
        aux: Further tensors by name, e.g. ``mu``.
    """

    user: Tensor
    item: Tensor
    layers: Sequence[tuple[Tensor, Tensor]]
    aux: Mapping[str, Tensor] = field(default_factory=dict)

    def of_batch(self, batch: EdgeBatch) -> tuple[Tensor, Tensor, EdgeBatch]:
        """Return what a loss or hardness takes: both tables, and a batch of their rows.

        Args:
            batch: Its indices are rows of these embeddings.

        Returns:
            ``user``, ``item`` and the batch with layer 0 as its ``ego``.
        """
        return self.user, self.item, replace(batch, ego=self.layers[0])


class Encoder(nn.Module):
    """Turns a user-item graph into one embedding a node."""

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return next(self.parameters()).device

    @property
    def num_hops(self) -> int | None:
        """From how far a node hears; None says that it needs the whole graph."""
        return None

    def forward(
        self, graph: HeteroData | Sequence[HeteroData], *, perturb: bool | None = None
    ) -> Embeddings:
        """Encode a graph.

        Args:
            graph: One graph, or one for each layer.
            perturb: Whether to add noise or drop messages; by default as the module's
                mode says (in training only).
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def item_messages(self, graph: HeteroData) -> Tensor | None:
        r"""Return what items send to users, ``[I, D]``; None where they send nothing.

        The row of a user without a row of its own in layer 0 is
        :math:`\sum_i m_i / \sqrt{d_u d_i}` over its items.
        """
        return None

    def propagate(
        self,
        user: Tensor,
        item: Tensor,
        graph: HeteroData | Sequence[HeteroData],
        *,
        perturb: bool | None = None,
    ) -> Embeddings:
        """Encode a graph whose nodes have other tables than the encoder's own.

        Args:
            user: ``[U, D]``.
            item: ``[I, D]``.
            graph: As for :meth:`forward`.
            perturb: As for :meth:`forward`.
        """
        raise NotImplementedError(f"{type(self).__name__} has tables of its own only")
