"""What every criterion shares."""

from typing import Any, Literal, Self

from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.functional import MASKED, at_least_float32, unit_rows
from pyg_advinfonce.objective import Phase
from pyg_advinfonce.ops import edge_scores


class Criterion(nn.Module):
    """A loss over a batch of edges: tensors only, usable in anyone's training loop.

    Attributes:
        cosine: Whether scores are cosines, in training and in ranking.
        l2_negatives: Whether the batch's L2 penalty counts negatives as well.
        negatives: What the criterion wants of a sampler.

    Where the constructor has an argument ``hardness``, a configuration has a section
    ``[hardness]``: the argument is the
    :class:`~pyg_advinfonce.losses.Hardness` that this describes, and kept as
    ``self.hardness``. An argument ``dim`` follows the width of the encoder.

    Shapes:
        - **z_user:** ``[U, D]``, **z_item:** ``[I, D]`` embeddings
        - **x_user:** ``[U, D]``, **x_item:** ``[I, D]`` layer-0 rows (default: z)
        - **output:** a scalar
    """

    cosine: bool = True
    l2_negatives: bool = False
    negatives: Literal["sampled", "in_batch", "none"] = "sampled"

    @classmethod
    def from_graph(cls, graph: HeteroData, **options: Any) -> Self:  # noqa: ANN401
        """Build a criterion that may need counts or degrees of the graph."""
        return cls(**options)

    def forward(
        self,
        z_user: Tensor,
        z_item: Tensor,
        batch: EdgeBatch,
        *,
        x_user: Tensor | None = None,
        x_item: Tensor | None = None,
    ) -> Tensor:
        """Return the loss, averaged over the batch."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def diagnostics(
        self,
        z_user: Tensor,
        z_item: Tensor,
        batch: EdgeBatch,
        *,
        x_user: Tensor | None = None,
        x_item: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return scalars worth logging."""
        return {}

    def phases(self, main: Phase) -> tuple[Phase, ...]:
        """Return the phases of an epoch, in order."""
        return (main,)

    def on_epoch_start(self, encoder: nn.Module, graph: HeteroData, epoch: int) -> None:
        """Update state that lasts an epoch."""


def in_batch_scores(
    z_user: Tensor,
    z_item: Tensor,
    batch: EdgeBatch,
    *,
    cosine: bool = True,
    tau: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Score a batch's positives ``[B]``, and users with all of its items ``[B, B]``.

    A user's own item, wherever it is in the batch, gets a score among the negatives
    that no log-sum-exp notices. Scores are divided by tau.
    """
    user = z_user.index_select(0, batch.src_index)  # [B, D]
    item = z_item.index_select(0, batch.dst_pos_index)  # [B, D]
    if cosine:
        user, item = unit_rows(user), unit_rows(item)
    user, item = at_least_float32(user) / tau, at_least_float32(item)
    return contrast_rows(user, item, batch.dst_pos_index)


def contrast_rows(user: Tensor, item: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Score rows with their own items ``[B]`` and with the others' ``[B, B]``.

    Args:
        user: ``[B, D]``.
        item: ``[B, D]``.
        index: ``[B]`` tells which items are the same, and so no negatives.
    """
    scores = user @ item.t()  # [B, B]
    is_same = index == index.unsqueeze(-1)
    return scores.diagonal(), scores.masked_fill(is_same, MASKED)


def batch_scores(
    z_user: Tensor,
    z_item: Tensor,
    batch: EdgeBatch,
    *,
    cosine: bool = True,
    tau: float = 1.0,
    log_q: bool = True,
) -> tuple[Tensor, Tensor]:
    """Score a batch's positives ``[B]`` and negatives ``[B, K]``, divided by tau.

    A masked negative gets a score that no log-sum-exp notices. For a log-sum-exp the
    batch's ``neg_log_q`` is taken off; without ``log_q`` the caller must see to it.

    Raises:
        ValueError: If the batch has no negatives, or users and items other widths.
    """
    if z_user.size(-1) != z_item.size(-1):
        raise ValueError(
            "z_user [U, D] and z_item [I, D] must agree in D "
            f"(got {tuple(z_user.shape)} and {tuple(z_item.shape)})"
        )
    user = z_user.index_select(0, batch.src_index)  # [B, D]
    user = (unit_rows(user) if cosine else at_least_float32(user)) / tau
    item = unit_rows(z_item) if cosine else at_least_float32(z_item)  # [I, D]
    pos = (user * item.index_select(0, batch.dst_pos_index)).sum(-1)
    return pos, negative_scores(user, item, batch, log_q=log_q)


def negative_scores(
    user: Tensor, item: Tensor, batch: EdgeBatch, *, log_q: bool = True
) -> Tensor:
    """Score rows ``[B, D]`` with the batch's negatives of a table ``[I, D]``.

    Raises:
        ValueError: If the batch has no negatives.
    """
    if batch.dst_neg_index.size(1) == 0:
        raise ValueError(
            "this loss needs at least one negative a positive (got K = 0): "
            "set train.num_negatives, or amount of the loader's neg_sampling"
        )
    neg = edge_scores(user, item, batch.dst_neg_index)
    if log_q and batch.neg_log_q is not None:
        neg = neg - batch.neg_log_q
    if batch.neg_mask is not None:
        neg = neg.masked_fill(~batch.neg_mask, MASKED)
    return neg
