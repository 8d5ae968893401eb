"""Base class of criteria, and scores of batches."""

import torch
from torch import Tensor

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.functional import MASKED, at_least_float32, unit_rows
from pyg_advinfonce.objective import RankingLoss, Step
from pyg_advinfonce.ops import edge_scores


class Criterion(RankingLoss):
    """Loss over a batch of edges: tensors only, usable in any training loop.

    A constructor argument ``hardness`` takes the
    :class:`~pyg_advinfonce.losses.Hardness` that the section ``[hardness]`` of a
    configuration describes; the attribute has the same name. An argument ``dim`` is set
    to the embedding dimension of the encoder.

    Shapes:
        - **z_user:** ``[U, D]``, **z_item:** ``[I, D]`` embeddings
        - **output:** a scalar
    """

    def forward(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        """Return the loss, averaged over the batch."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def on_step(self, step: Step, *, perturb: bool = True) -> Tensor:
        """Return the loss of a step, averaged over its batch."""
        z = step.embeddings if perturb else step.clean
        loss: Tensor = self(*z.of_batch(step.batch))
        return loss


def in_batch_scores(
    z_user: Tensor,
    z_item: Tensor,
    batch: EdgeBatch,
    *,
    cosine: bool = True,
    tau: float | Tensor = 1.0,
    mask_hits: bool = True,
) -> tuple[Tensor, Tensor]:
    """Score positives ``[B]``, and users with all positives of the batch ``[B, B]``.

    Scores are divided by tau. Among the negatives, every copy of a user's own positive
    is masked: its score is too low to affect a log-sum-exp. Without ``mask_hits`` only
    the row's own edge is masked.

    Raises:
        ValueError: If the batch has ``neg_rows``.
    """
    refuse_neg_rows(batch)
    user = z_user.index_select(0, batch.src_index)  # [B, D]
    item = z_item.index_select(0, batch.dst_pos_index)  # [B, D]
    if cosine:
        user, item = unit_rows(user), unit_rows(item)
    user, item = at_least_float32(user) / tau, at_least_float32(item)
    return contrast_rows(user, item, batch.dst_pos_index, mask_hits=mask_hits)


def contrast_rows(
    user: Tensor, item: Tensor, index: Tensor, *, mask_hits: bool = True
) -> tuple[Tensor, Tensor]:
    """Score users against their own items ``[B]`` and all items ``[B, B]``.

    Args:
        user: ``[B, D]`` user embeddings.
        item: ``[B, D]`` embeddings of their items.
        index: ``[B]`` ids of the items.
        mask_hits: Mask equal ids in the ``[B, B]`` scores, not only the diagonal.
    """
    scores = user @ item.t()  # [B, B]
    row = index if mask_hits else torch.arange(len(index), device=index.device)
    return scores.diagonal(), scores.masked_fill(row == row.unsqueeze(-1), MASKED)


def batch_scores(
    z_user: Tensor,
    z_item: Tensor,
    batch: EdgeBatch,
    *,
    cosine: bool = True,
    tau: float | Tensor = 1.0,
    log_q: bool = True,
) -> tuple[Tensor, Tensor]:
    """Score a batch's positives ``[B]`` and negatives ``[B, K]``, divided by tau.

    The score of a masked negative is too low to affect a log-sum-exp. ``neg_rows`` of
    the batch, if given, are scored in place of the negatives' rows of ``z_item``.

    Args:
        z_user: ``[U, D]`` user embeddings.
        z_item: ``[I, D]`` item embeddings.
        batch: The batch.
        cosine: Score by cosine instead of by inner product.
        tau: Temperature.
        log_q: Subtract the batch's ``neg_log_q``, the correction in a log-sum-exp. A
            loss that applies the correction elsewhere passes False.

    Raises:
        ValueError: If the batch has no negatives, or if the embedding dimensions of
            users, items and ``neg_rows`` differ.
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
    """Score users against their sampled negatives ``[B, K]``.

    Args:
        user: ``[B, D]`` user embeddings divided by tau; for cosines, of length 1 before
            the division.
        item: ``[I, D]`` item embeddings; for cosines, of length 1.
        batch: The batch. Its ``neg_rows``, if given, are scored in place of the
            negatives' rows of ``item``.
        cosine: Scale ``neg_rows`` to length 1.
        log_q: Subtract the batch's ``neg_log_q``.

    Raises:
        ValueError: If the batch has no negatives, or ``neg_rows`` has another
            embedding dimension.
    """
    if batch.dst_neg_index.size(1) == 0:
        raise ValueError(
            "this loss needs at least one negative per positive (got K = 0): "
            "set train.num_negatives, or amount in the loader's neg_sampling"
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
    """Score users ``[B, D]`` against rows ``[B, K, D]``."""
    if rows.size(-1) != user.size(-1):
        raise ValueError(
            f"neg_rows must be [B, K, {user.size(-1)}], as z_item has D = "
            f"{user.size(-1)} (got {tuple(rows.shape)})"
        )
    rows = unit_rows(rows) if cosine else at_least_float32(rows)
    return torch.einsum("bd,bkd->bk", user, rows)


def refuse_neg_rows(batch: EdgeBatch) -> None:
    """Check that a batch has no ``neg_rows``, for losses that cannot score them.

    Raises:
        ValueError: If the batch has ``neg_rows``.
    """
    if batch.neg_rows is not None:
        raise ValueError(
            "this loss does not score the batch's negatives one by one, so neg_rows "
            f"must be None (got {tuple(batch.neg_rows.shape)}): choose a loss with "
            "sampled negatives, e.g. InfoNCE"
        )
