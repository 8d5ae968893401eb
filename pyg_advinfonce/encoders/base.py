"""Base class and output of encoders."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.errors import ConfigError
from pyg_advinfonce.functional import own_shapes
from pyg_advinfonce.graph import ITEM, USER


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

    def of_batch(self, batch: EdgeBatch) -> tuple[Tensor, Tensor, EdgeBatch]:
        """Return the arguments of a loss or hardness: both tables and the batch.

        Args:
            batch: A batch whose indices are row numbers in these embeddings.

        Returns:
            ``user``, ``item`` and the batch with layer 0 as its ``ego``.
        """
        return self.user, self.item, replace(batch, ego=self.layers[0])


class Encoder(nn.Module):
    """Base class of encoders, which map a user-item graph to one embedding per node.

    Attributes:
        is_separable: Whether each column of the embeddings depends on the same column
            of the tables only, so that processes may divide the columns.
    """

    is_separable: ClassVar[bool] = False

    extra_repr = own_shapes

    @property
    def device(self) -> torch.device:
        """The device of the parameters, or else of the buffers, or else the CPU."""
        tensors = chain(self.parameters(), self.buffers())
        return next((t.device for t in tensors), torch.device("cpu"))

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

    def encode_rows(
        self, graph: HeteroData, user: Tensor | None, item: Tensor | None
    ) -> Embeddings | None:
        """Encode a graph for some rows, if that is less work than :meth:`forward`.

        Args:
            graph: The whole graph.
            user: ``[n]`` ascending rows of users; None for all.
            item: ``[m]`` ascending rows of items; None for all.

        Returns:
            Embeddings of these rows with layer 0 only, equal to those of
            :meth:`forward`; None by default.
        """
        return None

    def item_messages(self, graph: HeteroData) -> Tensor | None:
        r"""Return the item vectors that embed new users, ``[I, D]``, or None.

        The vector :math:`m_i` is the message that item ``i`` sends to its users. A user
        without a layer-0 row has the embedding :math:`\sum_i m_i / \sqrt{d_u d_i}`, a
        sum over the user's items.
        """
        return None

    def new_users(self, pairs: Tensor, num_users: int) -> Tensor | None:
        """Return embeddings of new users by the encoder's own rule, or None.

        Args:
            pairs: ``[2, P]`` distinct pairs of a new user, from 0, and an item row.
            num_users: ``N``.

        Returns:
            ``[N, D]``.
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


class FittedEncoder(Encoder):
    """Base class of encoders that are computed from the train pairs, without a loss.

    The constructor takes the graph and allocates the tables; the trainer calls
    :meth:`fit` once per epoch. Loading a trained run only loads the tables.
    """

    closed_form: ClassVar[bool] = True
    """Whether one call of :meth:`fit` computes the result."""

    less_memory: ClassVar[str] = "use data with fewer users and items"
    """Advice for the message that the memory is too small."""

    @property
    def num_hops(self) -> int | None:
        return 0

    @classmethod
    def bytes_needed(cls, num_users: int, num_items: int, **options: int) -> int:
        """Return a lower bound of the memory of training, in bytes.

        Args:
            num_users: Number of users.
            num_items: Number of items.
            **options: The settings of the section ``[model]``.
        """
        return 0

    def fit(self, graph: HeteroData) -> None:
        """Compute the tables, or improve them if ``closed_form`` is False.

        Args:
            graph: User-item graph.
        """
        raise NotImplementedError(f"{type(self).__name__} has no fit")


class FixedEmbeddings(Encoder):
    """Given embeddings that are not trained, e.g. pre-trained or from a saved run.

    Args:
        user: ``[U, D]``.
        item: ``[I, D]``.
        messages: ``[I, D]`` item vectors of :meth:`Encoder.item_messages`, which embed
            new users.
    """

    user: Tensor
    item: Tensor
    messages: Tensor | None

    def __init__(
        self, user: Tensor, item: Tensor, messages: Tensor | None = None
    ) -> None:
        super().__init__()
        self.register_buffer("user", user)
        self.register_buffer("item", item)
        self.register_buffer("messages", messages)

    def forward(
        self, graph: HeteroData | Sequence[HeteroData], *, perturb: bool | None = None
    ) -> Embeddings:
        return Embeddings(self.user, self.item, ((self.user, self.item),))

    def item_messages(self, graph: HeteroData) -> Tensor | None:
        return self.messages


class CustomEncoder(Encoder):
    """Encoder made from any module that embeds a graph or scores items.

    The page ``docs/guides/model.md`` lists the optional methods of such a module.

    Args:
        module: Its forward takes the graph and returns ``(z_user, z_item)``, ``[U, D]``
            and ``[I, D]``, or :class:`Embeddings`. If it has a method ``scores``, it is
            a :class:`~pyg_advinfonce.scorer.Scorer` and needs no forward.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        forward = inspect.signature(module.forward)
        self._perturbs = "perturb" in forward.parameters
        try:
            forward.bind(None)
        except TypeError as error:
            raise ConfigError(
                f"{type(module).__name__}.forward must take the graph alone ({error})"
            ) from error
        if callable(scores := getattr(module, "scores", None)):
            self.scores = scores

    @property
    def num_hops(self) -> int | None:
        found: int | None = getattr(self.module, "num_hops", None)
        return found

    def forward(
        self, graph: HeteroData | Sequence[HeteroData], *, perturb: bool | None = None
    ) -> Embeddings:
        options = {"perturb": perturb} if self._perturbs else {}
        return self._checked(self.module(graph, **options), graph)

    def item_messages(self, graph: HeteroData) -> Tensor | None:
        messages = getattr(self.module, "item_messages", None)
        found: Tensor | None = messages(graph) if messages else None
        return found

    def propagate(
        self,
        user: Tensor,
        item: Tensor,
        graph: HeteroData | Sequence[HeteroData],
        *,
        perturb: bool | None = None,
    ) -> Embeddings:
        propagate = getattr(self.module, "propagate", None)
        if propagate is None:
            raise ConfigError(
                f"model {type(self.module).__name__} has no method propagate, by which "
                "this loss encodes other tables: add it, or choose another loss"
            )
        found: Embeddings = propagate(user, item, graph, perturb=perturb)
        return found

    def _checked(
        self, found: object, graph: HeteroData | Sequence[HeteroData]
    ) -> Embeddings:
        name = type(self.module).__name__
        match found:
            case Embeddings():
                z = found
            case (Tensor() as user, Tensor() as item):
                z = Embeddings(user, item, ((user, item),))
            case _:
                raise ConfigError(
                    f"{name}.forward must return (z_user, z_item) or Embeddings "
                    f"(got {type(found).__name__})"
                )
        if not z.layers:
            raise ConfigError(
                f"{name}.forward must return Embeddings with layers, the first before "
                "messages (got none)"
            )
        first = graph if isinstance(graph, HeteroData) else graph[0]
        expected = first[USER].num_nodes, first[ITEM].num_nodes
        sizes = list(z.user.shape), list(z.item.shape)
        if sizes != tuple([n, *sizes[0][1:2]] for n in expected) or z.user.dim() != 2:
            raise ConfigError(
                f"{name}.forward must return z_user [{expected[0]}, D] and z_item "
                f"[{expected[1]}, D] (got {sizes[0]} and {sizes[1]})"
            )
        return z


def as_encoder(module: nn.Module) -> Encoder:
    """Return a module as an encoder."""
    return module if isinstance(module, Encoder) else CustomEncoder(module)
