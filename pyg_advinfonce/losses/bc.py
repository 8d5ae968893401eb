"""Bias-aware contrastive loss."""

from dataclasses import replace
from typing import Any, Self

from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.functional import (
    MASKED,
    angular_margin,
    check_not_negative,
    check_positive,
    info_nce,
    reset_tables,
    unit_tables,
)
from pyg_advinfonce.graph import degree_rank, train_degrees
from pyg_advinfonce.losses.base import Criterion, UpdateWatch, batch_scores
from pyg_advinfonce.objective import Phase, before_epoch, from_epoch
from pyg_advinfonce.ops import empty_table, total


class BC(Criterion):
    r"""Contrastive loss with a margin against popularity bias, from `"Incorporating
    Bias-aware Margins into Contrastive Loss for Collaborative Filtering"
    <https://arxiv.org/abs/2210.11054>`_.

    .. math::
        \mathcal{L} = (1 - \lambda) \frac{1}{B} \sum_b \mathrm{softplus}\Bigl(\log
        \sum_j e^{c(u, j) / \tau} - \cos(\theta_{ui} + M_{ui}) / \tau\Bigr)
        + \lambda \mathcal{L}_{pop},
        \quad M_{ui} = 1 - \sigma(\langle p_u, p_i \rangle)

    with :math:`\cos \theta_{ui} = c(u, i)`. The popularity embeddings ``p``, one per
    distinct degree, are trained in the first epochs on :math:`\mathcal{L}_{pop}`, an
    InfoNCE of their cosines, and frozen afterwards (:meth:`phases`). A pair that
    popularity explains has a small margin.

    The margin is capped so that the angle stays below :math:`\pi`, beyond which the
    cosine rises again; the authors' code does not cap it (docs/methods.md D9).

    A :class:`~pyg_advinfonce.errors.TrainingLoopWarning` tells of tables that have not
    changed in ten passes over the train pairs (1000 positives per user if the loss is
    not built by :meth:`from_graph`), unless they are frozen or ``freeze_epoch`` is 0.
    With several ranks, ``DistributedDataParallel`` averages the gradients of the tables
    as those of any parameter; the loss has no other state.

    Args:
        user_rank: ``[U]`` row of each user in the users' popularity table.
        item_rank: ``[I]`` row of each item in the items' popularity table.
        dim: Embedding dimension of the popularity tables.
        tau: Temperature of the recommender.
        popularity_tau: Temperature of :math:`\mathcal{L}_{pop}`.
        popularity_weight: :math:`\lambda`, in [0, 1).
        freeze_epoch: Number of epochs that train the popularity tables only.
        capped: Cap the margin.

    Shapes:
        - **z_user:** ``[U, D]``, **z_item:** ``[I, D]``; **output:** a scalar
    """  # noqa: D205

    user_rank: Tensor
    item_rank: Tensor

    reads_batch = True

    def __init__(
        self,
        user_rank: Tensor,
        item_rank: Tensor,
        dim: int = 64,
        *,
        tau: float = 0.07,
        popularity_tau: float = 0.1,
        popularity_weight: float = 0.5,
        freeze_epoch: int = 5,
        capped: bool = True,
    ) -> None:
        super().__init__()
        if not 0 <= popularity_weight < 1:
            raise ValueError(
                f"popularity_weight must be in [0, 1) (got {popularity_weight})"
            )
        check_not_negative(freeze_epoch=freeze_epoch)
        check_positive(popularity_tau=popularity_tau, tau=tau)
        self.tau, self.popularity_tau = tau, popularity_tau
        self.popularity_weight, self.freeze_epoch = popularity_weight, freeze_epoch
        self.capped = capped
        self.register_buffer("user_rank", user_rank, persistent=False)
        self.register_buffer("item_rank", item_rank, persistent=False)
        self.user = _table(user_rank, dim)
        self.item = _table(item_rank, dim)
        problem = (
            "BC's popularity tables are not trained and its margins are random: train "
            "in the phases of Method.compose(encoder, loss)"
        )
        number = user_rank.numel()
        self.watch = UpdateWatch(number, problem, self.user, self.item)

    @classmethod
    def from_graph(cls, graph: HeteroData, **options: Any) -> Self:  # noqa: ANN401
        """Build from the degrees of the train edges."""
        user, item = train_degrees(graph)
        found = cls(degree_rank(user), degree_rank(item), **options)
        found.watch.expect(int(user.sum()))
        return found

    def forward(self, z_user: Tensor, z_item: Tensor, batch: EdgeBatch) -> Tensor:
        if self.training and self.freeze_epoch and self.user.requires_grad:
            self.watch.count(batch, self.user, self.item)
        pos, neg = batch_scores(z_user, z_item, batch, tau=self.tau)
        pos = angular_margin(pos * self.tau, self.margin(batch), capped=self.capped)
        main = info_nce(pos / self.tau, neg)
        share = self.popularity_weight
        return (1 - share) * main + share * self.popularity_loss(batch)

    def margin(self, batch: EdgeBatch) -> Tensor:
        """Return the margins of the positives ``[B]``, in (0, 1), without gradient."""
        user = self.user[self.user_rank[batch.user_id]]  # [B, D]
        item = self.item[self.item_rank[batch.pos_id]]
        return 1 - total((user * item).sum(-1)).sigmoid().detach()

    def popularity_loss(self, batch: EdgeBatch) -> Tensor:
        """Return the popularity loss, an InfoNCE of the popularity tables."""
        # Few distinct degrees exist: scoring all of them is cheaper than the batch.
        user, item = unit_tables(self.user, self.item)
        scores = total((user / self.popularity_tau) @ item.t())
        user, width = self.user_rank[batch.user_id], scores.size(1)
        pos = scores.view(-1)[user * width + self.item_rank[batch.pos_id]]  # [B]
        neg = scores.view(-1)[
            (user * width).unsqueeze(-1) + self.item_rank[batch.neg_id]
        ]
        if batch.neg_log_q is not None:
            neg = neg - batch.neg_log_q
        if batch.neg_mask is not None:
            neg = neg.masked_fill(~batch.neg_mask, MASKED)
        return info_nce(pos, neg)

    def phases(self, main: Phase) -> tuple[Phase, ...]:
        """Train the popularity tables before the recommender."""
        popularity = replace(
            main,
            name="popularity",
            objective=main.objective.only("rec"),
            params=(self.user, self.item),
            active=before_epoch(self.freeze_epoch),
        )
        return popularity, replace(main, active=from_epoch(self.freeze_epoch))


def _table(rank: Tensor, dim: int) -> nn.Parameter:
    check_positive(dim=dim)
    table = empty_table(int(rank.max()) + 1, dim)
    reset_tables(dim, table)
    return table
