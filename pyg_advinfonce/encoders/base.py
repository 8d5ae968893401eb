"""Base class and output of encoders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData


@dataclass(frozen=True)
class Embeddings:
    """Output of an encoder.

    Attributes:
        user: ``[U, D]`` embeddings of users.
        item: ``[I, D]`` embeddings of items.
        layers: ``([U, D], [I, D])`` per layer; layer 0 is the table before propagation.
        aux: Further tensors by name, e.g. ``mu_user``.
    """

    user: Tensor
    item: Tensor
    layers: Sequence[tuple[Tensor, Tensor]]
    aux: Mapping[str, Tensor] = field(default_factory=dict)


class Encoder(nn.Module):
    """Base class of encoders, which map a user-item graph to one embedding per node."""

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return next(self.parameters()).device

    @property
    def num_hops(self) -> int | None:
        """Number of message-passing hops; None if the encoder needs the whole graph."""
        return None

    def forward(
        self, graph: HeteroData | Sequence[HeteroData], *, perturb: bool | None = None
    ) -> Embeddings:
        """Encode a graph.

        Args:
            graph: One graph, or one per layer.
            perturb: Whether to add noise or drop messages (default: in training mode
                only).
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def item_messages(self, graph: HeteroData) -> Tensor | None:
        r"""Return the messages from items to users ``[I, D]``, or None without any.

        The embedding of a user without a layer-0 row is
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
        """Encode a graph with the given tables in place of the encoder's.

        Args:
            user: ``[U, D]`` table of users.
            item: ``[I, D]`` table of items.
            graph: As in :meth:`forward`.
            perturb: As in :meth:`forward`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not encode other tables")
