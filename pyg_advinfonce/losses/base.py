"""Base class of criteria, and scores of batches."""

import warnings

import torch
from torch import Tensor, distributed
from torch.utils.checkpoint import checkpoint

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.errors import TrainingLoopWarning
from pyg_advinfonce.functional import MASKED, at_least_float32, unit_rows, unit_tables
from pyg_advinfonce.objective import RankingLoss, Step
from pyg_advinfonce.ops import edge_scores, total, totals
from pyg_advinfonce.ranks import dividing


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
        of_batch = z.of_batch(step.batch)
        if step.batch.seen is not None:
            return self.over_all_negatives(*of_batch)
        loss: Tensor = self(*of_batch)
        return loss

    def over_all_negatives(
        self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch
    ) -> Tensor:
        """Return the loss of a batch with ``seen``, without a ``[B, I]`` matrix.

        The loss is evaluated on parts of the batch (:meth:`EdgeBatch.split
        <pyg_advinfonce.batch.EdgeBatch.split>`), again in the backward pass, and
        averaged over the edges (docs/methods.md 0.3).

        Args:
            z_user: ``[U, D]`` user embeddings.
            z_item: ``[I, D]`` item embeddings.
            batch: The batch.

        Raises:
            ValueError: If the batch has no ``seen``, or the loss does not accept all
                negatives.
        """
        is_sampled = self.takes_all_negatives and self.negatives == "sampled"
        if batch.seen is None or not is_sampled:
            raise ValueError(
                "all negatives need a batch with seen and a loss with "
                f"takes_all_negatives (got {batch} and {type(self).__name__}): draw "
                "batches with EdgeSampler(..., num_negatives='all'), or sample "
                "negatives for this loss"
            )
        num_items, parts = z_item.size(0), batch.split(z_item.size(0))

        def of_part(user: Tensor, item: Tensor, part: EdgeBatch) -> Tensor:
            # here, so that a part's mask is not kept for the backward pass
            found: Tensor = self(user, item, part.dense(num_items))
            return found * (part.src_index.numel() / batch.src_index.numel())

        if len(parts) == 1:
            return of_part(z_user, z_item, batch)
        losses = [
            checkpoint(of_part, z_user, z_item, part, use_reentrant=False)
            for part in parts
        ]
        return torch.stack(losses).sum()


class UpdateWatch:
    """Warns once if a loss is trained although what it depends on is never updated.

    A loss counts the positives of its training calls. The warning comes after
    :attr:`PASSES` passes over the train pairs, or :attr:`PER_USER` positives per user
    if the number of pairs is unknown, unless :meth:`stop` has been called or a given
    table has changed by then. These numbers exceed the length of any first epoch, so
    that a loop may also update a loss at the end of epochs. Calls without gradients,
    compiled calls, which a counter would compile anew, and the capture of a CUDA graph
    are not counted.

    Args:
        num_users: Number of users.
        problem: What is not updated and how to update it.
        *tables: Parameters that training changes, if the loss has such.
    """

    PASSES = 10
    PER_USER = 1000

    def __init__(self, num_users: int, problem: str, *tables: Tensor) -> None:
        self.left, self.problem = self.PER_USER * num_users, problem
        self.start = [table.detach().clone() for table in tables]

    def expect(self, num_pairs: int) -> None:
        """Set the number of train pairs."""
        self.left = self.PASSES * num_pairs

    def stop(self) -> None:
        """Stop watching, since the loss has been updated."""
        self.left, self.start = 0, []

    def count(self, batch: EdgeBatch, *tables: Tensor) -> None:
        """Count a training call with the current tables."""
        if torch.compiler.is_compiling() or self.left <= 0:
            return
        cuda = torch.cuda  # asking of a capture fails where no driver is installed
        if cuda.is_initialized() and cuda.is_current_stream_capturing():
            return
        if not torch.is_grad_enabled():
            return
        self.left -= batch.src_index.numel()
        if self.left > 0:
            return
        pairs = zip(self.start, tables, strict=True)
        # the only comparison, since it waits for the device
        is_same = all(torch.equal(a.to(b), b) for a, b in pairs)
        self.stop()
        if is_same:
            warnings.warn(
                f"{self.problem}; see docs/guides/pyg_model.md, 'Losses that need "
                "more than one call'",
                TrainingLoopWarning,
                stacklevel=3,
            )


def num_ranks() -> int:
    """Return the number of processes with batches of their own."""
    if distributed.is_available() and distributed.is_initialized() and not dividing():
        return distributed.get_world_size()
    return 1


def sum_over_ranks(values: Tensor) -> Tensor:
    """Sum a tensor without gradient over the ranks of the default process group.

    Every rank must call it equally often, as with ``torch.nn.SyncBatchNorm``.
    """
    if num_ranks() > 1:
        values = values.clone()
        distributed.all_reduce(values)
    return values


def positive_rows(
    z_user: Tensor, z_item: Tensor, batch: EdgeBatch
) -> tuple[Tensor, Tensor]:
    """Return the rows of a batch's users and positives, ``[B, D]`` each.

    Raises:
        IndexError: If an index is out of range (on a GPU, torch raises its own error).
    """
    user = _rows(z_user, batch.src_index, "src_index", "z_user")
    return user, _rows(z_item, batch.dst_pos_index, "dst_pos_index", "z_item")


def _rows(table: Tensor, index: Tensor, name: str, what: str) -> Tensor:
    try:
        return table.index_select(0, index)
    except IndexError as error:
        low, high = map(int, index.aminmax())
        raise IndexError(
            f"{name} must hold rows of {what}, 0 to {len(table) - 1} "
            f"(got {low} to {high})"
        ) from error


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
    user, item = positive_rows(z_user, z_item, batch)
    if cosine:
        user, item = unit_tables(user, item)
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
    scores = total(user @ item.t())  # [B, B]
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
    user, item = _rows(z_user, batch.src_index, "src_index", "z_user"), z_item
    if cosine:
        item, batch = _rows_to_normalise(item, batch)
        user, item = unit_tables(user, item)  # [B, D], [I, D]
    user, item = at_least_float32(user) / tau, at_least_float32(item)
    own = _rows(item, batch.dst_pos_index, "dst_pos_index", "z_item")
    return scores_of_rows(user, own, item, batch, cosine=cosine, log_q=log_q)


def _rows_to_normalise(z_item: Tensor, batch: EdgeBatch) -> tuple[Tensor, EdgeBatch]:
    """Return the rows of items that a batch reads, if they are few."""
    is_plain = batch.dst_n_id is None and batch.neg_rows is None and not batch.is_dense
    if not is_plain or z_item.device.type != "cpu":
        return z_item, batch
    found = batch.of_rows(0, len(z_item))
    row = found.dst_n_id
    return (z_item, batch) if row is None else (z_item.index_select(0, row), found)


def scores_of_rows(
    user: Tensor,
    own: Tensor,
    item: Tensor,
    batch: EdgeBatch,
    *,
    cosine: bool = True,
    log_q: bool = True,
) -> tuple[Tensor, Tensor]:
    """Score users against their positives ``[B]`` and sampled negatives ``[B, K]``.

    Args:
        user: ``[B, D]`` user embeddings divided by tau; for cosines, of length 1 before
            the division.
        own: ``[B, D]`` embeddings of the positives, likewise of length 1.
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
            "set train.num_negatives, or amount in the loader's neg_sampling; for all "
            "negatives call over_all_negatives"
        )
    pos = (user * own).sum(-1)
    if batch.neg_rows is None:
        neg = scores_by_row(user, item, batch, batch.dst_neg_index)
    else:
        neg = _row_scores(user, batch.neg_rows, cosine=cosine)
    pos, neg = totals(pos, neg)
    if log_q and batch.neg_log_q is not None:
        neg = neg - batch.neg_log_q
    if batch.neg_mask is not None:
        neg = neg.masked_fill(~batch.neg_mask, MASKED)
    return pos, neg


def scores_by_row(
    user: Tensor, item: Tensor, batch: EdgeBatch, index: Tensor
) -> Tensor:
    """Score users ``[B, D]`` against rows of a table ``[I, D]`` by ``index [B, K]``.

    The scores are sums over the columns of this process; see
    :func:`~pyg_advinfonce.ops.total`.

    For all rows in order (:attr:`EdgeBatch.is_dense`) this is a matrix product.

    Raises:
        IndexError: If an index is out of range.
    """
    if not batch.is_dense:
        try:
            return edge_scores(user, item, index)
        except IndexError as error:
            raise IndexError(f"dst_neg_index: {error} of z_item") from error
    if item.size(0) != index.size(1):
        raise IndexError(
            f"all negatives need a row for each of {index.size(1)} items "
            f"(got {item.size(0)} rows)"
        )
    with torch.autocast(user.device.type, enabled=False):  # keeps single precision
        return user @ item.t()


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
