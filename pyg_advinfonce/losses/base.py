"""What every criterion shares."""

import torch
from torch import Tensor

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.functional import MASKED, at_least_float32, unit_rows
from pyg_advinfonce.objective import RankingLoss, Step
from pyg_advinfonce.ops import edge_scores


class Criterion(RankingLoss):
    """A loss over a batch of edges: tensors only, usable in anyone's training loop.

    Where the constructor has an argument ``hardness``, a configuration has a section
    ``[hardness]``: the argument is the
    :class:`~pyg_advinfonce.losses.Hardness` that this describes, and kept as
    ``self.hardness``. An argument ``dim`` follows the width of the encoder.

    Shapes:
        - **z_user:** ``[U, D]``, **z_item:** ``[I, D]`` embeddings
        - **output:** a scalar
    """

    def forward(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        """Return the loss, averaged over the batch."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def on_step(self, step: Step, *, perturb: bool = True) -> Tensor:
        """Return the loss of a step's embeddings."""
        z = step.embeddings if perturb else step.clean
        loss: Tensor = self(*z.of_batch(step.batch))
        return loss


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

    Raises:
        ValueError: If the batch has ``neg_rows``.
    """
    refuse_rows(batch)
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
    Where the batch has ``neg_rows``, these are what is scored as negatives.

    Raises:
        ValueError: If the batch has no negatives, or users, items or ``neg_rows`` have
            other widths.
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
    return pos, negative_scores(user, item, batch, cosine=cosine, log_q=log_q)


def negative_scores(
    user: Tensor,
    item: Tensor,
    batch: EdgeBatch,
    *,
    cosine: bool = True,
    log_q: bool = True,
) -> Tensor:
    """Score rows ``[B, D]`` with the batch's negatives of a table ``[I, D]``.

    Args:
        user: ``[B, D]``, of length one for cosines, divided by tau.
        item: ``[I, D]``, of length one for cosines.
        batch: The batch, whose ``neg_rows`` stand for rows of the table.
        cosine: Whether these are to be of length one.
        log_q: Whether the batch's ``neg_log_q`` is taken off.

    Raises:
        ValueError: If the batch has no negatives, or ``neg_rows`` of another width.
    """
    if batch.dst_neg_index.size(1) == 0:
        raise ValueError(
            "this loss needs at least one negative a positive (got K = 0): "
            "set train.num_negatives, or amount of the loader's neg_sampling"
        )
    if batch.neg_rows is None:
        neg = edge_scores(user, item, batch.dst_neg_index)
    else:
        neg = _row_scores(user, batch.neg_rows, cosine=cosine)
    if log_q and batch.neg_log_q is not None:
        neg = neg - batch.neg_log_q
    if batch.neg_mask is not None:
        neg = neg.masked_fill(~batch.neg_mask, MASKED)
    return neg


def _row_scores(user: Tensor, rows: Tensor, *, cosine: bool) -> Tensor:
    """Score rows ``[B, D]`` with rows of their own ``[B, K, D]``."""
    if rows.size(-1) != user.size(-1):
        raise ValueError(
            f"neg_rows must be [B, K, {user.size(-1)}], as wide as z_item "
            f"(got {tuple(rows.shape)})"
        )
    rows = unit_rows(rows) if cosine else at_least_float32(rows)
    return torch.einsum("bd,bkd->bk", user, rows)


def refuse_rows(batch: EdgeBatch) -> None:
    """Check that a loss which cannot score ``neg_rows`` is given none.

    Raises:
        ValueError: If the batch has some.
    """
    if batch.neg_rows is not None:
        raise ValueError(
            "this loss does not score the batch's negatives one by one, so neg_rows "
            f"must be None (got {tuple(batch.neg_rows.shape)}): choose a loss with "
            "sampled negatives, e.g. InfoNCE"
        )
