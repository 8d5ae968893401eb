"""InvCF loss."""

from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding
from torch_geometric.data import HeteroData

from pyg_advinfonce.batch import EdgeBatch
from pyg_advinfonce.encoders import Embeddings
from pyg_advinfonce.functional import (
    check_choice,
    check_not_negative,
    check_positive,
    distance_correlation,
    info_nce,
    reset_tables,
    squares,
    unit_tables,
)
from pyg_advinfonce.graph import ITEM, USER, degree_rank, train_degrees
from pyg_advinfonce.losses.base import (
    UpdateWatch,
    contrast_rows,
    positive_rows,
    refuse_neg_rows,
    scores_of_rows,
)
from pyg_advinfonce.objective import RankingTerm, Step
from pyg_advinfonce.ops import empty_table, total

Rows = tuple[Tensor, Tensor]  # users [B, D] and their items [B, D]


class InvCF(RankingTerm):
    r"""Preferences that are invariant to popularity, from `"Invariant Collaborative
    Filtering to Popularity Distribution Shift" <https://arxiv.org/abs/2302.05328>`_.

    .. math::
        \mathcal{L} = \ell(m_u, m_i) + \lambda_1 \ell(z_u, z_i)
        + \lambda_3 \bigl(\ell([z_u; m_u], [z_i; m_i])
        + \ell([z_{\pi(u)}; m_u], [z_{\pi(i)}; m_i])\bigr)

        + \lambda_2 \bigl(\mathrm{dCor}(m_u, z_u) + \mathrm{dCor}(m_i, z_i)\bigr)

    where :math:`\ell` is InfoNCE on cosines, ``m`` are the encoder's embeddings and
    ``z`` the popularity embeddings, made by the same propagation from one layer-0
    vector per degree. The permutation :math:`\pi` of the batch is the same for users
    and items. Only ``m`` ranks items.

    The distance correlation of ``m`` and ``z`` is added; the authors' code subtracts a
    different distance correlation (docs/methods.md 2.13, D12). Sampled negatives have
    their own popularity, also where that of users and positives is exchanged.

    A :class:`~pyg_advinfonce.errors.TrainingLoopWarning` tells of popularity tables
    that have not changed in ten passes over the train pairs (1000 positives per user if
    the loss is not built by :meth:`from_graph`), unless they are frozen. With several
    ranks, ``DistributedDataParallel`` averages the gradients of the tables as those of
    any parameter; the loss has no other state.

    Args:
        user_rank: ``[U]`` rank of each user's degree, see
            :func:`~pyg_advinfonce.graph.degree_rank`.
        item_rank: ``[I]`` rank of each item's degree.
        dim: Embedding dimension of the popularity tables.
        tau: Temperature.
        lam1: Weight of the popularity branch.
        lam2: Weight of the distance correlations.
        lam3: Weight of the joined views.
        l2: Weight of the L2 penalty of every InfoNCE but the first: half the squared
            layer-0 norms of its rows, times its lambda. The model adds the penalty of
            the first InfoNCE.
        l2_reduction: ``mean`` divides that penalty by the batch size; ``sum`` does not,
            as the authors' code with negatives of the batch.
        negatives: ``in_batch`` contrasts with the other positives of the batch,
            ``sampled`` with the batch's negatives.
        mask_hits: Leave a row's own positive out of its ``in_batch`` negatives where
            other rows have it too. The authors keep it.
        reverse_negatives: Join the halves of sampled negatives as ``[m; z]``, a slip of
            the authors' code: they are compared with users ``[z; m]``.
        cosine: Rank by cosine; the authors' code ranks by inner product.

    Shapes:
        - **output:** a scalar
    """  # noqa: D205

    user_rank: Tensor
    item_rank: Tensor

    def __init__(
        self,
        user_rank: Tensor,
        item_rank: Tensor,
        dim: int = 64,
        tau: float = 0.2,
        *,
        lam1: float = 1e-5,
        lam2: float = 0.0,
        lam3: float = 1e-4,
        l2: float = 1e-5,
        l2_reduction: Literal["mean", "sum"] = "mean",
        negatives: Literal["in_batch", "sampled"] = "in_batch",
        mask_hits: bool = True,
        reverse_negatives: bool = False,
        cosine: bool = True,
    ) -> None:
        super().__init__()
        check_positive(dim=dim, tau=tau)
        check_not_negative(lam1=lam1, lam2=lam2, lam3=lam3, l2=l2)
        check_choice("in_batch", "sampled", negatives=negatives)
        check_choice("mean", "sum", l2_reduction=l2_reduction)
        self.l2_reduction, self.mask_hits = l2_reduction, mask_hits
        self.reverse_negatives = reverse_negatives
        self.tau, self.cosine, self.negatives = tau, cosine, negatives
        self.lam1, self.lam2, self.lam3, self.l2 = lam1, lam2, lam3, l2
        self.register_buffer("user_rank", user_rank, persistent=False)
        self.register_buffer("item_rank", item_rank, persistent=False)
        self.dim = dim
        self.user, self.item = _table(user_rank, dim), _table(item_rank, dim)
        self.reset_parameters()
        problem = (
            "InvCF's popularity tables are not trained: give them to an optimiser, as "
            "the phases of Method.compose(encoder, loss) do"
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

    def reset_parameters(self) -> None:
        """Draw both popularity tables from Xavier's normal distribution."""
        reset_tables(self.dim, self.user, self.item)

    def forward(self, step: Step) -> Tensor:
        refuse_neg_rows(step.batch)  # they have no popularity
        m, batch = step.embeddings, step.batch
        loss = self._contrast(_rows(m, batch), m.item, batch)
        if not (self.lam1 or self.lam2 or self.lam3):
            return loss
        if self.training and self.user.requires_grad:
            self.watch.count(batch, self.user, self.item)
        z = self.popularity(step)
        if self.lam1:
            own = self._contrast(_rows(z, batch), z.item, batch)
            loss = loss + self.lam1 * own
        if self.lam2:
            pairs = zip(_rows(m, batch), _rows(z, batch), strict=True)
            distance = sum(distance_correlation(x, y) for x, y in pairs)
            loss = loss + self.lam2 * distance
        if self.lam3:
            loss = loss + self.lam3 * self._joined(m, z, batch)
        return loss + self.l2 * self._penalty(step)

    def popularity(self, step: Step) -> Embeddings:
        """Return the popularity embeddings ``z`` of the step's graph."""
        user = embedding(_of_graph(self.user_rank, step.graph, USER), self.user)
        item = embedding(_of_graph(self.item_rank, step.graph, ITEM), self.item)
        return step.encoder.propagate(user, item, step.graph)

    def _contrast(self, rows: Rows, table: Tensor, batch: EdgeBatch) -> Tensor:
        """Return the InfoNCE of users with their items, on cosines."""
        if self.negatives == "in_batch":
            user, own = unit_tables(*rows)  # [B, D]
            index, mask_hits = batch.dst_pos_index, self.mask_hits
            scores = contrast_rows(user / self.tau, own, index, mask_hits=mask_hits)
        else:
            user, own, item = unit_tables(*rows, table)
            scores = scores_of_rows(user / self.tau, own, item, batch)
        return info_nce(*scores)

    def _joined(self, m: Embeddings, z: Embeddings, batch: EdgeBatch) -> Tensor:
        """Return the sum of two InfoNCE of the concatenation ``[z; m]``.

        One has each row's own ``z``, the other ``z`` permuted over the batch.
        """
        number, device = batch.src_index.numel(), batch.src_index.device
        order = torch.randperm(number, device=device)
        halves = (m.item, z.item) if self.reverse_negatives else (z.item, m.item)
        table = torch.cat(halves, -1) if self.negatives == "sampled" else m.item
        pref, own = _rows(m, batch), _rows(z, batch)
        exchanged = own[0][order], own[1][order]
        return self._contrast(_join(own, pref), table, batch) + self._contrast(
            _join(exchanged, pref), table, batch
        )

    def _penalty(self, step: Step) -> Tensor:
        batch, (user, item) = step.batch, step.embeddings.layers[0]
        pref = squares(user, batch.src_index) + squares(item, batch.dst_pos_index)
        pop_user = squares(self.user, self.user_rank[batch.user_id])
        pop_item = squares(self.item, self.item_rank[batch.pos_id])
        joined = 2 * self.lam3  # two joined terms
        found = total((self.lam1 + joined) * (pop_user + pop_item) + joined * pref)
        mean = self.l2_reduction == "mean"
        return found / (2 * (batch.src_index.numel() if mean else 1))


def _table(rank: Tensor, dim: int) -> nn.Parameter:
    return empty_table(int(rank.max()) + 1, dim)


def _rows(z: Embeddings, batch: EdgeBatch) -> Rows:
    return positive_rows(z.user, z.item, batch)


def _join(pop: Rows, pref: Rows) -> Rows:
    return torch.cat([pop[0], pref[0]], -1), torch.cat([pop[1], pref[1]], -1)


def _of_graph(rank: Tensor, graph: HeteroData, node: str) -> Tensor:
    """Return the ranks of the nodes of a graph, which may be a sample."""
    n_id = graph[node].get("n_id")
    return rank if n_id is None else rank[n_id]
